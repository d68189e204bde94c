"""Text of servers, made fit to be shown."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Of letters in Persian and Indic scripts, and of emojis."""


def clean(text: str) -> str:
    """Replace characters that could control a terminal, or the order in which it shows others."""
    if text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else "\ufffd" for character in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
