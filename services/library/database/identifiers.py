"""Identifiers as callers write them. Pure."""

from collections.abc import Iterable
from uuid import UUID


def uuid_of(text: str) -> UUID | None:
    """Return the identifier; None for a text that is none, also in braces or capitals, which are fine for Python."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None


def uuids_of(texts: Iterable[str]) -> list[UUID]:
    """Return those of the texts that are identifiers."""
    return [parsed for one in texts if (parsed := uuid_of(one)) is not None]
