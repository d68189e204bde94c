"""Pictures as files: noise, damaged copies, printed text and the demo's pictures."""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from local import pictures


def noise(size: tuple[int, int] = (64, 48)) -> Pillow.Image:
    return Pillow.fromarray(np.random.default_rng(1).integers(0, 255, (*size[::-1], 3), dtype=np.uint8))


def encode_noise(form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    noise().save(buffer, form, **options)
    return buffer.getvalue()


def damaged(sound: bytes, within: int) -> Iterator[bytes]:
    """Yield 150 copies in which three of the first `within` bytes are changed."""
    random = np.random.default_rng(7)
    for _ in range(150):
        copy = bytearray(sound)
        for place in random.integers(0, min(len(copy), within), 3):
            copy[place] = random.integers(0, 256)
        yield bytes(copy)


def encode(picture: Pillow.Image, kind: str = "JPEG", **options: object) -> bytes:
    """Return the picture as a file, with Pillow's options for the format."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(picture: Pillow.Image, quality: int = 92) -> bytes:
    """Return the picture as a JPEG file of high quality."""
    return encode(picture, quality=quality)


def demo() -> dict[str, bytes]:
    """Return the demo's pictures as JPEG files by name: collins, hopper, both and coffee."""
    return {name.removesuffix(".jpg"): jpeg(picture) for name, picture in pictures.demo_pictures().items()}


def printed(lines: Sequence[str]) -> bytes:
    """Return a page of printed lines, dark on light."""
    page = Pillow.new("RGB", (700, 90 * len(lines) + 60), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((30, 30 + 90 * number), line, "black", ImageFont.load_default(48))
    return jpeg(page)
