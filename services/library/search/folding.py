"""Folding of text: what must match once case, accents and forms of writing are left aside. Pure."""

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

MAX_WORD = 64
"""Characters of a word that count."""
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_NO_TEXT = dict.fromkeys((*range(9), *range(14, 28), 127))
"""Control characters that are no white space."""
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "\u0131": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"}
)
"""Letters that Unicode does not take apart into a plain one and a mark, though people leave the mark away."""
_POINTS = range(10, 36)
"""Combining classes of Hebrew and Arabic points."""
_ACCENTS = range(200, 256)
"""Combining classes of accents. Marks of other classes are parts of letters, as in Hindi, Japanese and Thai."""
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF)),  # Thai and Lao, Burmese, Khmer
    *((0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF)),  # Japanese syllables
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),  # Chinese characters
)
"""Scripts that put no spaces between words."""


def fold(text: str) -> str:
    """Return the text without case, accents and invisible characters, in one form of writing, with single spaces.

    Folding a folded text changes nothing.
    """
    if text.isascii():
        return " ".join(text.lower().translate(_NO_TEXT).split())
    return " ".join(_stripped(_stripped(text)).split())


def words(text: str) -> list[str]:
    """Return the words by which the text is found, in its order.

    A run of characters of a script without spaces is found by each two of them that are neighbours, and by its last.
    """
    return [part for word in _runs(text) for part in (_pairs(word, len(word)) if is_unspaced(word[0]) else [word])]


def beginnings(text: str) -> list[str]:
    """Return what the words of a text must begin with, each, to be found by this one."""
    return [
        part
        for word in _runs(text)
        for part in (_pairs(word, max(1, len(word) - 1)) if is_unspaced(word[0]) else [word])
    ]


def is_unspaced(letter: str) -> bool:
    """Return whether the letter is of a script that puts no spaces between words."""
    number = ord(letter)
    return number >= _UNSPACED[0][0] and any(first <= number <= last for first, last in _UNSPACED)


def _stripped(text: str) -> str:
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(letter for letter in letters if _is_kept(letter))
    return unicodedata.normalize("NFKC", kept.translate(_LETTERS))


@lru_cache(4096)
def _is_kept(letter: str) -> bool:
    if unicodedata.category(letter) in {"Cc", "Cf"}:
        return letter.isspace()
    marks = unicodedata.combining(letter)
    return not (marks in _POINTS or marks in _ACCENTS or "\ufe00" <= letter <= "\ufe0f")


def _runs(text: str) -> list[str]:
    """Return the words, those of scripts with and without spaces apart, and each symbol by itself."""
    folded = fold(text)
    if folded.isascii():
        return [word[:MAX_WORD] for word in _ASCII_WORD.findall(folded)]
    found: list[str] = []
    for kind, run in groupby(folded, _kind):
        letters = "".join(run)
        found += letters if kind == "symbol" else [letters] if kind == "unspaced" else [letters[:MAX_WORD]] * bool(kind)
    return found


@lru_cache(4096)
def _kind(letter: str) -> str:
    category = unicodedata.category(letter)
    if category[0] not in "LMN":
        return "symbol" if category == "So" else ""
    return "unspaced" if is_unspaced(letter) else "word"


def _pairs(run: str, count: int) -> list[str]:
    return [run[start : start + 2] for start in range(count)]
