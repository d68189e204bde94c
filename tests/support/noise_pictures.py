"""Pictures of noise in any format, and damaged ones."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image as Pillow


def noise(size: tuple[int, int] = (64, 48)) -> Pillow.Image:
    return Pillow.fromarray(np.random.default_rng(1).integers(0, 255, (*size[::-1], 3), dtype=np.uint8))


def encode(form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    noise().save(buffer, form, **options)
    return buffer.getvalue()


def damaged(sound: bytes, within: int) -> Iterator[bytes]:
    """150 copies in which three of the first bytes, `within` so many, are changed."""
    random = np.random.default_rng(7)
    for _ in range(150):
        copy = bytearray(sound)
        for place in random.integers(0, min(len(copy), within), 3):
            copy[place] = random.integers(0, 256)
        yield bytes(copy)
