"""Fonts that have a text's letters."""

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

from PIL import ImageFont

FAMILIES = "'DejaVu Sans', 'Noto Sans', Arial, sans-serif"
"""For an SVG, whose viewer finds further fonts itself."""
_BOLD_FILES = ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "LiberationSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf")
_ENDINGS = (".ttf", ".otf", ".ttc")
_MAX_FILES = 2000
_MAX_LETTERS = 20
"""Of those in a note."""
_IGNORABLE = frozenset("\u200c\u200d\ufffd") | frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Joiners, the mark of a replaced character, and selectors of variants: a font may lack them."""


@dataclass(frozen=True, slots=True)
class Face:
    """A typeface."""

    path: str
    """Empty: Pillow's own, which has little more than the letters of English."""

    def at(self, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        """Return the font of that size in pixels."""
        return _font(self.path, size)

    def has(self, letters: Iterable[str]) -> bool:
        """Return whether the typeface has all the letters."""
        known = _letters(self.path)
        return all(ord(letter) in known or letter in _IGNORABLE for letter in letters)


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a text, and the typeface that has its letters."""

    text: str
    face: Face


@dataclass(frozen=True, slots=True)
class Writing:
    """A text around a point, in one line."""

    text: str
    x: float
    y: float
    size: int
    color: str

    @property
    def width(self) -> float:
        """Width in pixels."""
        return width_of(self.text, self.size)

    @property
    def baseline(self) -> float:
        """Height at which its letters stand."""
        return self.y + 0.36 * self.size


@lru_cache(maxsize=4096)
def runs_of(text: str) -> tuple[Run, ...]:
    """Return the text in parts as they stand from left to right: one, where one typeface has all letters."""
    main = _main()
    if text.isascii() or main.has(text):
        return (Run(text, main),)
    faces = dict.fromkeys(_face_of(letter) for letter in text if not letter.isascii())
    if whole := next((face for face in faces if face.has(text)), None):
        return (Run(text, whole),)
    runs: list[Run] = []
    for letter in text:
        if runs and (letter in _IGNORABLE or letter == " " or runs[-1].face.has(letter)):
            runs[-1] = Run(runs[-1].text + letter, runs[-1].face)
        else:
            runs.append(Run(letter, _face_of(letter)))
    return tuple(reversed(runs)) if is_right_to_left(text) else tuple(runs)


@lru_cache(maxsize=16384)
def width_of(text: str, size: int) -> float:
    """Return the text's width in pixels."""
    length = sum(run.face.at(size).getlength(run.text) for run in runs_of(text))
    if text.isascii():
        return length
    wide = sum(unicodedata.east_asian_width(letter) in ("W", "F") for letter in text)
    return max(length, float(size * wide))  # as wide as a viewer's font has them, where this machine has none


def note_on(texts: Iterable[str]) -> str:
    """Return a note on letters that no font of this machine has; empty if there are none."""
    letters = dict.fromkeys(letter for text in texts if not text.isascii() for letter in text)
    missing = [letter for letter in letters if not letter.isascii() and not _face_of(letter).has(letter)]
    if not missing:
        return ""
    more = " …" if len(missing) > _MAX_LETTERS else ""
    return (
        f"No font on this machine has {' '.join(missing[:_MAX_LETTERS])}{more}, so that PNGs show boxes instead: "
        "install one that does, such as Noto Sans of the script, or draw an .svg."
    )


def is_right_to_left(text: str) -> bool:
    """Return whether the text's first letter is of a script that is written from right to left."""
    kinds = map(unicodedata.bidirectional, text)
    return next((kind != "L" for kind in kinds if kind in ("L", "R", "AL")), False)


@cache
def _main() -> Face:
    """Return a bold typeface, else Pillow's own."""
    for file in _BOLD_FILES:
        try:
            return Face(str(ImageFont.truetype(file, 16).path))
        except OSError:
            continue
    return Face("")


@lru_cache(maxsize=256)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def _face_of(letter: str) -> Face:
    """Return the first typeface that has the letter, else the main one."""
    faces = (_main(), *map(Face, _files()))
    return next((face for face in faces if face.has(letter)), faces[0])


@cache
def _letters(path: str) -> frozenset[int]:
    """Return the code points of a font file that can be drawn at any size; none if it cannot be read."""
    from fontTools.ttLib import TTFont  # noqa: PLC0415 - takes 0.1 s that names in English do not need

    try:
        file = path or ImageFont.load_default(16).path  # type: ignore[union-attr] # FreeType is in Pillow's wheels
        _font(path, 17)
        with TTFont(file, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except Exception:  # noqa: BLE001 - whatever is wrong with somebody's font, another one will do
        return frozenset()


@cache
def _files() -> tuple[str, ...]:
    """Return the machine's font files: sans-serif, bold and well-known ones first."""
    found = (
        str(Path(folder, name))
        for root in _folders()
        for folder, _, names in os.walk(root)
        for name in sorted(names)
        if name.lower().endswith(_ENDINGS)
    )
    return tuple(sorted(islice(found, _MAX_FILES), key=_rank))


def _rank(path: str) -> tuple[bool, bool, bool, str]:
    name = Path(path).name.lower()
    is_known = name.startswith(("noto", "dejavu", "arial", "segoe", "pingfang", "msyh", "yugoth", "malgun", "nirmala"))
    is_odd = any(word in name for word in ("serif", "mono", "italic", "oblique", "condensed", "thin", "light"))
    return not is_known, is_odd, "bold" not in name, path


def _folders() -> Iterator[Path]:
    home = Path.home()
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", "C:\\Windows"), "Fonts")
        yield home / "AppData/Local/Microsoft/Windows/Fonts"
    elif sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts")
    else:
        data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        yield from (Path(folder, "fonts") for folder in data.split(":"))
        yield from (home / ".local/share/fonts", home / ".fonts")
