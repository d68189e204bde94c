"""Who a training folder is."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """Somebody a model knows."""

    person_id: str
    """Stays the same however the name is written: "eileen-collins"."""
    display_name: str


def person_of(folder: str) -> Person:
    """The person of a folder's name: "Eileen_Collins" is Eileen Collins. Letters of any script are kept."""
    display_name = " ".join(folder.replace("_", " ").split())
    return Person(re.sub(r"[\W_]+", "-", display_name.casefold()).strip("-"), display_name)
