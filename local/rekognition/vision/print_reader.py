"""Reads clear print: horizontal lines of separate characters, dark on light or light on dark.

Handwriting, joined or slanted letters, uneven light and other scripts than Latin are not read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from local.rekognition.vision import glyphs
from services.runtime.images.image import Pixels

_LEAST_HEIGHT = 8
_MOST_HEIGHT = 0.5
"""Of the picture's."""
_SPACE = 0.32
"""The gap between words in heights of a capital."""
_LEAST_ALIKE = 0.6
_STROKES = set("Iil1!/.,:-jt+$")
"""What edges and specks of any picture look like: they make no line alone."""
_LEAST_LETTERS = 3
_MOST_BLOTS = 2000
"""More than any page has characters: not print."""


@dataclass(frozen=True)
class Ink:
    """A rectangle of pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def with_(self, other: "Ink") -> "Ink":
        """The rectangle around both."""
        return Ink(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


@dataclass(frozen=True)
class Word:
    """Characters without a space, where they are, and how alike they are to printed ones, 0 to 1."""

    text: str
    place: Ink
    alike: float

    @staticmethod
    def joined(words: "Sequence[Word]") -> "Word":
        """A line: its words with spaces, where they are, and the mean of how alike they are."""
        place = reduce(Ink.with_, [word.place for word in words])
        return Word(" ".join(word.text for word in words), place, float(np.mean([word.alike for word in words])))


def read(pixels: Pixels) -> list[list[Word]]:
    """The lines of an RGB picture from top to bottom, each with its words."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    light = np.asarray(cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1], dtype=np.uint8)
    lines = [words for ink in (255 - light, light) for words in _read_ink(ink)]
    return sorted(lines, key=lambda words: words[0].place.top)


def _read_ink(ink: Pixels) -> Iterator[list[Word]]:
    for line in _lines(_blots(ink)):
        words = list(_words(ink, line))
        text = "".join(word.text for word in words)
        letters = sum(character not in _STROKES for character in text)
        if letters >= max(_LEAST_LETTERS, len(text) / 2) and min(word.alike for word in words) >= _LEAST_ALIKE:
            yield words


def _blots(ink: Pixels) -> list[Ink]:
    """Pieces of ink that may be characters or parts of one, from left to right."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink)
    most = ink.shape[0] * _MOST_HEIGHT
    blots = [Ink(x, y, x + width, y + height) for x, y, width, height, _ in stats[1:].tolist() if height <= most]
    return sorted(blots, key=lambda blot: blot.left) if len(blots) <= _MOST_BLOTS else []


def _lines(blots: Sequence[Ink]) -> list[list[Ink]]:
    """Blots beside each other; a dot above or a hook below belongs to the line that it touches."""
    tall = [blot for blot in blots if blot.bottom - blot.top >= _LEAST_HEIGHT]
    lines: list[list[Ink]] = []
    for blot in tall:
        home = next((line for line in lines if _continues(line, blot)), None)
        if home is None:
            lines.append([blot])
        else:
            home.append(blot)
    small = [blot for blot in blots if blot.bottom - blot.top < _LEAST_HEIGHT]
    return [_characters([*line, *(dot for dot in small if _belongs(line, dot))]) for line in lines]


def _continues(line: Sequence[Ink], blot: Ink) -> bool:
    last = line[-1]
    height, own = last.bottom - last.top, blot.bottom - blot.top
    common = min(last.bottom, blot.bottom) - max(last.top, blot.top)
    near = blot.left - max(one.right for one in line) < 2.5 * max(height, own)
    return near and common > 0.5 * min(height, own) and max(height, own) < 3 * min(height, own)


def _belongs(line: Sequence[Ink], dot: Ink) -> bool:
    around = reduce(Ink.with_, line)
    room = (around.bottom - around.top) // 4
    return around.left <= dot.left <= around.right + 2 * room and around.top - room <= dot.top <= around.bottom


def _characters(blots: Sequence[Ink]) -> list[Ink]:
    """Blots above each other are one character."""
    made: list[Ink] = []
    for blot in sorted(blots, key=lambda one: one.left):
        common = min(made[-1].right, blot.right) - max(made[-1].left, blot.left) if made else 0
        if made and common > 0.5 * min(made[-1].right - made[-1].left, blot.right - blot.left):
            made[-1] = made[-1].with_(blot)
        else:
            made.append(blot)
    return made


def _words(ink: Pixels, line: Sequence[Ink]) -> Iterator[Word]:
    baseline = float(np.median([one.bottom for one in line]))
    capital = max(baseline - one.top for one in line) or 1.0
    told = glyphs.tell([_placed(ink, one, baseline, capital) for one in line])
    start = 0
    for end in range(1, len(line) + 1):
        if end == len(line) or line[end].left - line[end - 1].right > _SPACE * capital:
            said = told[start:end]
            text = "".join(character for character, _ in said)
            yield Word(
                _in_context(text), reduce(Ink.with_, line[start:end]), float(np.mean([alike for _, alike in said]))
            )
            start = end


def _in_context(text: str) -> str:
    """Lone strokes and rings are what the characters beside them are: letters of a case, or digits."""
    sure = [character for character in text if character not in "IlO0"]
    if sure and all(character in "123456789.,:-+%$" for character in sure):
        return text.translate(str.maketrans("IlO", "110"))
    if any(character.islower() for character in sure):
        return text[:1] + text[1:].replace("I", "l")
    if any(character.isupper() for character in sure):
        return text.replace("l", "I")
    return text


def _placed(ink: Pixels, one: Ink, baseline: float, capital: float) -> tuple[Pixels, float, float]:
    crop = ink[one.top : one.bottom, one.left : one.right]
    return crop, (baseline - one.top) / capital, (baseline - one.bottom) / capital
