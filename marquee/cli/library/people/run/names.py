"""People and faces as they are named on the command line: people by name, faces by their place in a picture."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import typer

from marquee.cli.exits import Exit, call_errors
from marquee.cli.inputs import listed
from marquee.cli.library.people.session import Session
from marquee.cli.output import count
from marquee.cli.terminal import print_error, print_json
from marquee.library.people.client import PeopleClient
from marquee.library.people.results import LibraryPerson

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
MOST_FACES = 500
"""Of a call that decides of them."""
_PLACE = re.compile(r"(?P<picture>[^#]+)#(?P<number>[1-9][0-9]{0,4})")


def person_of(client: PeopleClient, session: Session, name: str) -> LibraryPerson:
    """Return the person of that id, name or alias. Raises typer.Exit unless there is exactly one."""
    if _ID.fullmatch(name):
        return client.get(name, **session.own)
    people = _called(client, session, name)
    if len(people) == 1:
        return people[0]
    if people:
        each = "; ".join(f"{one.person_id} with {count(one.face_count, 'face')}" for one in people)
        raise _failed(session, "PERSON_AMBIGUOUS", f"{len(people)} people are called {name}: give an ID. {each}.")
    raise _failed(
        session,
        "PERSON_NOT_FOUND",
        f"Nobody is called {name}. `marquee library people list` shows who is known.",
    )


def person_id_of(client: PeopleClient, session: Session, name: str) -> str:
    """Return the id of the person; empty for none. Raises typer.Exit."""
    return person_of(client, session, name).person_id if name else ""


def known_or_new(client: PeopleClient, session: Session, name: str) -> LibraryPerson | None:
    """Return the person; None if nobody has the name. Raises typer.Exit if several have."""
    if not _ID.fullmatch(name) and not _called(client, session, name):
        return None
    return person_of(client, session, name)


def face_ids_of(session: Session, faces: Sequence[str], list_file: str | None = None) -> list[str]:
    """Return the ids of the faces, and of those in the list, each once. Raises BadParameter, typer.Exit."""
    names = (name.strip() for name in listed(list_file, hint="--faces-from")) if list_file is not None else ()
    found = list(dict.fromkeys(_face_ids(session, [*faces, *names])))
    if not found:
        raise typer.BadParameter("there is none: give faces, or --faces-from with them.", param_hint="FACE")
    return found


def batches(face_ids: Sequence[str]) -> list[Sequence[str]]:
    """Return the ids in parts, each as large as a call takes."""
    return [face_ids[start : start + MOST_FACES] for start in range(0, len(face_ids), MOST_FACES)]


def _called(client: PeopleClient, session: Session, name: str) -> list[LibraryPerson]:
    found = client.search(name, include_hidden=True, **session.own)
    return [one for one in found if _folded(name) in {_folded(each) for each in (one.display_name, *one.aliases)}]


def _folded(name: str) -> str:
    """Return the name without case, accents and blanks that do not matter."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())


def _face_ids(session: Session, faces: Sequence[str]) -> Iterator[str]:
    for face in faces:
        place = _PLACE.fullmatch(face)
        yield _face_at(session, place["picture"], int(place["number"])) if place else face


def _face_at(session: Session, picture_id: str, number: int) -> str:
    with call_errors(session.output), session.server.connect_library() as library:
        faces = library.get(picture_id, **session.own).faces
    if number > len(faces):
        raise _failed(session, "FACE_NOT_FOUND", f"{picture_id} has {count(len(faces), 'face')}, and no {number}.")
    return faces[number - 1].face_id


def _failed(session: Session, reason: str, message: str) -> typer.Exit:
    if session.is_json:
        print_json({"error": {"code": "NOT_FOUND", "reason": reason, "message": message}})
    print_error("", message)
    return typer.Exit(Exit.FAILED)
