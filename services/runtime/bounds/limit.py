"""A bound, and those that many fields have."""

from typing import NamedTuple

MAX_NAME = 128
"""Characters of a name or an identifier."""
MAX_DISPLAY_NAME = 200


class Limit(NamedTuple):
    """The bound of a string or a repeated field."""

    entries: int | None = None
    """Most entries of a repeated field or map. None: the field is not repeated."""
    length: int | None = None
    """Longest text, in `unit`, of the string, each string or each key. None: the field holds no text."""
    unit: str = "characters"

    def __str__(self) -> str:
        """Return the bound as the protos' comments state it."""
        length = f"{self.length} {self.unit}" if self.length else ""
        if self.entries is None:
            return f"At most {length}."
        return f"At most {self.entries} entries" + (f" of {length}." if length else ".")


NAME = Limit(length=MAX_NAME)
TITLE = Limit(length=MAX_DISPLAY_NAME)
TEXT = Limit(length=2000)
TOKEN = Limit(length=32 * 1024)
RECOGNIZERS = Limit(64, MAX_NAME)
RESULTS = Limit(64)
FEATURES = Limit(16)
LABELS = Limit(1000)
FACES = Limit(256)
TITLES = Limit(16, MAX_DISPLAY_NAME)
WARNINGS = Limit(64, 2000)
IMAGES = Limit(32)
PRICE_GROUPS = Limit(32)
ID = Limit(length=36)
HASH = Limit(length=64)
CALLER = Limit(length=255)
FILE = Limit(length=1024)
PATH = Limit(length=10_000)
CATEGORIES = Limit(64, MAX_DISPLAY_NAME)
PAGE = Limit(1000)
