"""Texts that are made to break a terminal, and what must be left of them."""

import json
from typing import Any

EVIL = "=Eve[bold]\x1b[31m\r\n\x9b2J\u202e\u2066\x00\x7f"


def spoil(message: Any) -> None:
    """Put EVIL into every text of the message."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else (value,):
                spoil(part)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            value[:] = [EVIL]
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, EVIL)


def controls(text: str, allowed: str = "\n") -> set[str]:
    """Return the characters that control more than the line."""
    return {character for character in text if not character.isprintable() and character not in allowed}


def strict(text: str) -> Any:
    """Parse JSON as other parsers do: without NaN, and in valid Unicode."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text.encode("utf-8")
    return json.loads(text, parse_constant=refuse)
