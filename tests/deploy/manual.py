"""What a page of the manual tells people to type."""

import re
from pathlib import Path


def blocks(page: Path) -> list[str]:
    """The page's shell commands, a text a block."""
    return re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path, program: str) -> list[str]:
    """Every call of the program, also inside another command, up to what ends it."""
    found = re.findall(rf"(?:^|[(;|] *|do ){program} [^\n]*", "\n".join(blocks(page)), re.MULTILINE)
    return [_first(each[each.index(program) :]) for each in found]


def _first(text: str) -> str:
    """The text up to a pipe, a semicolon or a closing parenthesis that stands in no quotes."""
    quote = ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[place - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character in "|;)":
            return text[:place].strip()
    return text.strip()
