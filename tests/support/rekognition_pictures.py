"""Pictures for Rekognition's tests."""

import io
from collections.abc import Sequence

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from local import pictures


def encode(picture: Pillow.Image, kind: str = "JPEG", **options: object) -> bytes:
    """Return the picture as a file, with Pillow's options for the format."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(picture: Pillow.Image, quality: int = 92) -> bytes:
    """Return the picture as a JPEG file of high quality."""
    return encode(picture, quality=quality)


def demo() -> dict[str, bytes]:
    """Return the demo's pictures as JPEG: collins, hopper, both and coffee."""
    return {name.removesuffix(".jpg"): jpeg(picture) for name, picture in pictures.demo_pictures().items()}


def printed(lines: Sequence[str]) -> bytes:
    """Return a page of printed lines, dark on light."""
    page = Pillow.new("RGB", (700, 90 * len(lines) + 60), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((30, 30 + 90 * number), line, "black", ImageFont.load_default(48))
    return jpeg(page)
