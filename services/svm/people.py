"""Who a training folder is."""

from dataclasses import dataclass

from services.runtime.people import person_id_of


@dataclass(frozen=True)
class Person:
    """Somebody a model knows."""

    person_id: str
    """Stays the same however the name is written: "eileen-collins"."""
    display_name: str


def person_of(folder: str) -> Person:
    """The person of a folder's name: "Eileen_Collins" is Eileen Collins."""
    display_name = " ".join(folder.replace("_", " ").split())
    return Person(person_id_of(display_name), display_name)
