"""Letters for pictures."""

from functools import lru_cache

from PIL import ImageFont

_FILES = ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf")
FAMILY = "'DejaVu Sans', 'Noto Sans', Arial, sans-serif"
"""The same for an SVG."""


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A bold system font of that many pixels, else Pillow's own, which lacks most letters outside Latin."""
    for file in _FILES:
        try:
            return ImageFont.truetype(file, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> float:
    """Pixels."""
    return font(size).getlength(text)
