"""List, show, create, change, merge, split and delete people."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from marquee.cli.exits import Exit
from marquee.cli.library.people.run.names import MOST_FACES, face_ids_of, known_or_new, person_id_of, person_of
from marquee.cli.library.people.run.tables import print_action, print_change, print_found, print_people
from marquee.cli.library.people.session import Session
from marquee.cli.library.run.search import shown_time
from marquee.cli.output import count
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import Progress, print_error, print_json
from marquee.draw.text import clean
from marquee.library.people.client import PeopleClient
from marquee.library.people.requests import PersonUpdate
from marquee.library.people.results import LibraryPerson, SplitProposal

_SHOWN_FACES = 4
"""Of each group of a split."""


def list_some(session: Session, text: str, limit: int, *, hidden: bool) -> Exit:
    """Print who is known, by name. Raises typer.Exit."""
    with session.people() as client:
        found = client.search(text, include_hidden=hidden, **session.own)
        print_found(session, found, limit, print_people, lambda one: one.person_id)
    return Exit.OK


def show(session: Session, name: str) -> Exit:
    """Print a person. Raises typer.Exit."""
    with session.people() as client:
        person = person_of(client, session, name)
    if session.is_json:
        print_json(person.to_dict())
    else:
        _print_person(person)
    return Exit.OK


def create(session: Session, name: str, faces: Sequence[str], aliases: Sequence[str]) -> Exit:
    """Create a person of faces. Raises typer.Exit."""
    face_ids = face_ids_of(session, faces) if faces else []
    with session.people() as client:
        change = client.create(name, face_ids, aliases=aliases, **session.own)
    print_change(session, change, "created")
    return Exit.OK


def update(session: Session, name: str, change: PersonUpdate, done: str) -> Exit:
    """Change a person. Raises typer.Exit."""
    with session.people() as client:
        person_id = person_id_of(client, session, name)
        changed = client.update(person_id, **change, **session.own)
    print_change(session, changed, done)
    return Exit.OK


def alias(session: Session, name: str, add: Sequence[str], remove: Sequence[str]) -> Exit:
    """Add and remove aliases of a person, who must not change meanwhile. Raises typer.Exit."""
    with session.people() as client:
        person = person_of(client, session, name)
        kept = [one for one in dict.fromkeys([*person.aliases, *add]) if one not in remove]
        changed = client.update(person.person_id, aliases=kept, etag=person.etag, **session.own)
    print_change(session, changed, f"also called {', '.join(changed.person.aliases) or 'nothing else'}")
    return Exit.OK


def cover(session: Session, name: str, face: str) -> Exit:
    """Have a face stand for the person; empty: the library chooses. Raises typer.Exit."""
    face_id = face_ids_of(session, [face])[0] if face else ""
    return update(
        session, name, {"cover_face_id": face_id}, "has this cover" if face_id else "has the best face's cover"
    )


def merge(session: Session, name: str, others: Sequence[str]) -> Exit:
    """Merge people into the first one. Raises typer.Exit."""
    with session.people() as client:
        person = person_of(client, session, name)
        merged = [person_id_of(client, session, other) for other in others]
        change = client.merge(person.person_id, merged, etag=person.etag, **session.own)
    print_change(session, change, f"merged with {count(len(merged), 'other')}")
    return Exit.OK


def separate(session: Session, name: str, other: str) -> Exit:
    """Say that two people are not one. Raises typer.Exit."""
    with session.people() as client:
        one, two = person_of(client, session, name), person_of(client, session, other)
        action_id = client.separate(one.person_id, two.person_id, **session.own)
    print_action(session, action_id, f"{one.display_name} and {two.display_name} are two people.")
    return Exit.OK


def delete(session: Session, name: str) -> Exit:
    """Delete a person. Raises typer.Exit."""
    with session.people() as client:
        person = person_of(client, session, name)
        action_id = client.delete(person.person_id, etag=person.etag, **session.own)
    print_action(session, action_id, f"{person.display_name} is deleted; {count(person.face_count, 'face')} nobody's.")
    return Exit.OK


def split(session: Session, name: str, crops: str) -> Exit:
    """Print how to split a person, with the groups side by side; write their faces. Raises typer.Exit."""
    with session.people() as client:
        person = person_of(client, session, name)
        proposal = client.propose_split(person.person_id, **session.own)
        if crops and not _write_crops(client, session, proposal, Path(crops)):
            return Exit.FAILED
    if session.is_json:
        print_json(proposal.to_dict())
    else:
        _print_groups(person, proposal)
    return Exit.OK


def move_group(session: Session, name: str, group: int, to: str) -> Exit:
    """Name a group's faces as another person, or as somebody new. Raises typer.Exit."""
    with session.people() as client:
        person = person_of(client, session, name)
        groups = client.propose_split(person.person_id, **session.own).groups
        if group > len(groups):
            print_error("", f"{person.display_name} has {count(len(groups), 'group')}, and no {group}.")
            return Exit.FAILED
        faces = groups[group - 1].face_ids[:MOST_FACES]
        target = known_or_new(client, session, to)
        change = (
            client.name_faces(faces, target.person_id, **session.own)
            if target
            else client.create(to, faces, **session.own)
        )
    print_change(session, change, f"got {count(len(faces), 'face')} of {person.display_name}")
    return Exit.OK


def _print_person(person: LibraryPerson) -> None:
    hidden = ", hidden" if person.hidden else ""
    print_line(Text(clean(person.display_name), "bold"), f"  {clean(person.person_id)}")
    since = f", since {shown_time(person.create_time)}"
    print_line(f"  {count(person.face_count, 'face')}, {person.decided_count:,} decided{hidden}{since}")
    if person.aliases:
        print_line(clean(f"  Also called {', '.join(person.aliases)}"))
    if person.cover_face_id:
        print_line(clean(f"  Cover: {person.cover_face_id}"))
    for one in person.identities:
        where = f" in {one.recognizer_collection}" if one.recognizer_collection else ""
        print_line(clean(f"  {one.recognizer or 'The gateway'}{where} knows them as {one.external_id}"))


def _print_groups(person: LibraryPerson, proposal: SplitProposal) -> None:
    if len(proposal.groups) < 2:  # noqa: PLR2004 - one group is the person
        print_line(clean(f"The {count(proposal.compared_count, 'face')} of {person.display_name} belong together."))
        return
    columns = [f"!{number}: {len(group.face_ids):,}" for number, group in enumerate(proposal.groups, 1)][:_SHOWN_FACES]
    table = Table(*columns)
    for faces in zip_longest(
        *(group.face_ids[:_SHOWN_FACES] for group in proposal.groups[: len(columns)]), fillvalue=""
    ):
        table.add_row(*map(clean, faces))
    print_line(
        clean(f"{person.display_name}: {count(len(proposal.groups), 'group')} of {proposal.compared_count:,} faces")
    )
    table.print(2)
    print_line(Text("--group N --to NAME moves a group's faces.", "dim"))


def _write_crops(client: PeopleClient, session: Session, proposal: SplitProposal, folder: Path) -> bool:
    """Write each group's faces into a folder of its own; return whether that went well."""
    faces = [(number, face) for number, group in enumerate(proposal.groups, 1) for face in group.face_ids]
    with Progress(len(faces)) as progress:
        for number, face_id in faces:
            content = client.face_content(face_id, **session.own).content
            try:
                target = folder / str(number) / f"{clean(face_id)}.webp"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            except OSError as error:
                print_error(error.filename or str(folder), error.strerror or str(error))
                return False
            progress.advance()
    return True
