"""Printed characters, told by comparison with those of the fonts that ship with Pillow and matplotlib."""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from services.runtime.images.image import Pixels

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!?&%#@$+/:.,-"
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono", "STIXGeneral")
_SIDE = 20
_DRAWN = 64
"""Pixels of a drawn font."""
_PLACE_WEIGHT = 3.0
"""How much a character's height and place in the line count beside its shape: o and O differ in nothing else."""


def tell(shapes: list[tuple[Pixels, float, float]]) -> list[tuple[str, float]]:
    """The likeliest character of each ink [height, width] (255 is ink), and how alike it is, 0 to 1.

    With each ink come its top and bottom above the baseline, in heights of a capital letter.
    """
    known, names = _known()
    seen = np.array([_described(*shape) for shape in shapes])
    apart = np.linalg.norm(seen[:, np.newaxis] - known, axis=2)
    best = apart.argmin(axis=1)
    return [(names[one], float(np.exp(-((apart[row, one] / 6) ** 2)))) for row, one in enumerate(best)]


@cache
def _known() -> tuple[npt.NDArray[np.float32], str]:
    drawn = [(character, _described(*shape)) for character, shape in _drawn()]
    return np.array([described for _, described in drawn], np.float32), "".join(name for name, _ in drawn)


def _drawn() -> Iterator[tuple[str, tuple[Pixels, float, float]]]:
    for font in [
        ImageFont.load_default(_DRAWN),
        *(ImageFont.truetype(_fonts() / f"{name}.ttf", _DRAWN) for name in FONTS),
    ]:
        baseline, capital = 2 * _DRAWN, _DRAWN * 0.729
        for character in CHARACTERS:
            picture = Image.new("L", (3 * _DRAWN, 3 * _DRAWN))
            ImageDraw.Draw(picture).text((_DRAWN, baseline), character, 255, font, anchor="ls")
            left, top, right, bottom = picture.getbbox() or (0, 0, 1, 1)
            ink = np.asarray(picture.crop((left, top, right, bottom)), dtype=np.uint8)
            yield character, (ink, (baseline - top) / capital, (baseline - bottom) / capital)


def _described(ink: Pixels, top: float, bottom: float) -> npt.NDArray[np.float32]:
    """Its shape at 20x20 with sides kept in proportion, and its place."""
    height, width = ink.shape
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    square = np.zeros((_SIDE, _SIDE), np.float32)
    left, above = (_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2
    square[above : above + size[1], left : left + size[0]] = small / 255
    soft = cv2.GaussianBlur(square, (3, 3), 0)
    place = [_PLACE_WEIGHT * 2 * top, _PLACE_WEIGHT * 2 * bottom]
    return np.concatenate([soft.ravel(), np.array(place, np.float32)])


def _fonts() -> Path:
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("fonts: install the package matplotlib")
    return Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
