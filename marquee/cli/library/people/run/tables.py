"""People, faces and changes as tables and lines."""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from marquee.cli.library.people.session import Session
from marquee.cli.library.run.search import shown_time
from marquee.cli.output import count, words
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_json
from marquee.draw.text import clean
from marquee.library.enums import AssignmentSource, FaceState
from marquee.library.people.results import FoundFace, LibraryPerson, PersonChange
from marquee.library.results import PictureFace
from marquee.records import Record

R = TypeVar("R", bound=Record)

_BY = {
    AssignmentSource.DECISION: "decided",
    AssignmentSource.RECOGNIZERS: "recognizers",
    AssignmentSource.NEIGHBOURS: "neighbours",
}
_DECIDED = (FaceState.IGNORED, FaceState.NOT_A_FACE, FaceState.ERASED)
_UNDO = "  undo: marquee library people undo {}"


def print_change(session: Session, change: PersonChange, done: str) -> None:
    """Print a person after a change, and how to undo it."""
    if session.is_json:
        print_json(change.to_dict())
        return
    person = change.person
    facts = f"{count(person.face_count, 'face')}, {person.decided_count:,} decided"
    print_line(Text(clean(person.display_name), "bold"), f"  {clean(person.person_id)}  {clean(done)}: {facts}")
    print_undo(change.action_id)


def print_action(session: Session, action_id: str, done: str) -> None:
    """Print what was done, and how to undo it."""
    if session.is_json:
        print_json({"action_id": action_id})
        return
    print_line(clean(done))
    print_undo(action_id)


def print_undo(action_id: str) -> None:
    """Print how to undo an action; nothing without one."""
    if action_id:
        print_line(Text(clean(_UNDO.format(action_id)), "dim"))


def print_found(
    session: Session,
    found: Iterator[R],
    limit: int,
    table: Callable[[Sequence[R]], None],
    id_of: Callable[[R], str] | None = None,
) -> None:
    """Print so many of what is found, 0: all, as a table, as JSON or by their ids, these one on each line."""
    shown = islice(found, limit or None)
    if session.is_json:
        for one in shown:
            print_json(one.to_dict(), one_line=True)
    elif session.is_ids and id_of:
        sys.stdout.writelines(f"{clean(id_of(one))}\n" for one in shown)
    else:
        table(list(shown))
        if limit and next(found, None) is not None:
            print_line(Text("There are more: --limit 0 shows all.", "dim"))


def print_people(people: Sequence[LibraryPerson]) -> None:
    """Print people as a table."""
    if not people:
        print_line("Nobody is known.")
        return
    table = Table("Name", ">Faces", ">Decided", "!Person", "Also", "Known to")
    for one in people:
        name = clean(one.display_name) + (" (hidden)" if one.hidden else "")
        known = ", ".join(dict.fromkeys(identity.recognizer or "gateway" for identity in one.identities))
        numbers = (f"{one.face_count:,}", f"{one.decided_count:,}")
        table.add_row(name, *numbers, clean(one.person_id), clean(", ".join(one.aliases)), clean(known))
    table.print()


def print_faces(faces: Sequence[FoundFace]) -> None:
    """Print faces as a table: with their distances from what was looked for, else with when they were taken."""
    if not faces:
        print_line("No face fits.")
        return
    is_search = any(face.distance is not None for face in faces)
    table = Table("!Face", "Person", ">Score", "By", ">Distance" if is_search else "Taken", "!Picture")
    for one in faces:
        distance = "" if one.distance is None else f"{one.distance:.3f}"
        last = distance if is_search else shown_time(one.taken_time)
        table.add_row(clean(one.face.face_id), *face_cells(one.face), last, clean(one.picture_id))
    table.print()


def face_cells(face: PictureFace) -> tuple[str, str, str]:
    """Return whom a face shows, its score, and who says so, or what else was decided of it."""
    score = f"{face.score:.2f}" if face.person_id else ""
    state = words(face.state) if face.state in _DECIDED else ""
    return clean(face.display_name), score, _BY.get(face.source, state)
