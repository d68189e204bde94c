"""Find, name, refuse, mark, draw and compare faces."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from marquee.cli.exits import Exit
from marquee.cli.library.people.run.names import batches, face_ids_of, known_or_new, person_id_of, person_of
from marquee.cli.library.people.run.tables import print_action, print_change, print_faces, print_found
from marquee.cli.library.people.session import Session
from marquee.cli.options import FaceBox
from marquee.cli.output import count
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import Progress, print_error, print_json
from marquee.draw.text import clean
from marquee.library.people.requests import FaceFilter
from marquee.library.people.results import Cluster, SimilarFaces
from marquee.library.requests import PictureQuery

_STDOUT = "-"
_SHOWN_FACES = 2
"""Of a cluster."""


def find(session: Session, faces: FaceFilter, limit: int) -> Exit:
    """Print the faces that fit. Raises typer.Exit."""
    with session.people() as client:
        person_id = person_id_of(client, session, faces.get("person_id", ""))
        found = client.faces(**(faces | {"person_id": person_id}), **session.own)
        print_found(session, found, limit, print_faces, lambda one: one.face.face_id)
    return Exit.OK


def name(session: Session, who: str, face_ids: Sequence[str], *, create: bool) -> Exit:
    """Decide that faces show a person. Raises typer.Exit."""
    with session.people() as client:
        person = known_or_new(client, session, who) if create else person_of(client, session, who)
        parts = batches(face_ids)
        if person is None:
            change = client.create(who, parts.pop(0), **session.own)
            person = change.person
            print_change(session, change, "created")
        with Progress(len(parts)) as progress:
            for part in parts:
                change = client.name_faces(part, person.person_id, **session.own)
                progress.advance()
                with progress.paused():
                    print_change(session, change, f"decided for {count(len(part), 'face')}")
    return Exit.OK


def refuse(session: Session, who: str, face_ids: Sequence[str]) -> Exit:
    """Refuse that faces show a person. Raises typer.Exit."""
    with session.people() as client:
        person = person_of(client, session, who)
        done = f"refused to be {person.display_name}, for ever"
        _each_part(session, face_ids, lambda part: client.refuse_faces(part, person.person_id, **session.own), done)
    return Exit.OK


def mark(session: Session, face_ids: Sequence[str], what: str, done: str) -> Exit:
    """Mark faces. Raises typer.Exit."""
    with session.people() as client:
        _each_part(session, face_ids, lambda part: client.mark_faces(part, what, **session.own), done)
    return Exit.OK


def draw(session: Session, picture_id: str, box: FaceBox, who: str) -> Exit:
    """Add a face that no recognizer has found. Raises typer.Exit."""
    with session.people() as client:
        drawn = client.draw_face(picture_id, box, person_id_of(client, session, who), **session.own)
    if session.is_json:
        print_json(drawn.to_dict())
    else:
        name = drawn.face.display_name or "nobody who is known"
        print_action(session, drawn.action_id, f"{drawn.face.face_id}  drawn, {name}")
    return Exit.OK


def crop(session: Session, face: str, file: str) -> Exit:
    """Write a face, cut out of its picture. Raises typer.Exit."""
    (face_id,) = face_ids_of(session, [face])
    with session.people() as client:
        content = client.face_content(face_id, **session.own).content
    try:
        if file == _STDOUT:
            sys.stdout.buffer.write(content)
        else:
            Path(file).write_bytes(content)
    except OSError as error:
        print_error(file, error.strerror or str(error))
        return Exit.FAILED
    return Exit.OK


def clusters(session: Session, limit: int) -> Exit:
    """Print groups of faces without a name. Raises typer.Exit."""
    with session.people() as client:
        print_found(session, client.clusters(**session.own), limit, _print_clusters, lambda one: one.cluster_id)
    return Exit.OK


def similar(session: Session, subject: dict[str, Any], query: PictureQuery, options: Any) -> Exit:
    """Print the faces that look like a face, a person or a picture. Raises typer.Exit, OSError."""
    if face := subject.get("face_id"):
        subject = {"face_id": face_ids_of(session, [face])[0]}
    with session.people() as client:
        if who := subject.get("person_id"):
            subject = {"person_id": person_id_of(client, session, who)}
        try:
            found = client.similar(**subject, **query, **options, **session.own)
        except OSError as error:
            print_error(error.filename or "", error.strerror or str(error))
            return Exit.FAILED
    if session.is_json:
        print_json(found.to_dict())
    else:
        _print_similar(found)
    return Exit.OK


def _each_part(session: Session, face_ids: Sequence[str], change: Callable[[Sequence[str]], str], done: str) -> None:
    parts = batches(face_ids)
    with Progress(len(parts)) as progress:
        for part in parts:
            action_id = change(part)
            progress.advance()
            with progress.paused():
                print_action(session, action_id, f"{count(len(part), 'face')} {done}.")


def _print_clusters(found: Sequence[Cluster]) -> None:
    if not found:
        print_line("There is no group of faces without a name.")
        return
    table = Table("!Cluster", ">Faces", "!Some of them")
    for cluster in found:
        table.add_row(
            clean(cluster.cluster_id),
            f"{cluster.face_count:,}",
            [Text(clean(one)) for one in cluster.face_ids[:_SHOWN_FACES]],
        )
    table.print()


def _print_similar(found: SimilarFaces) -> None:
    print_faces(found.faces)
    how = "compared with all" if found.exact else "found by the index"
    model = f" of {found.model.name} {found.model.version}" if found.model else ""
    print_line(Text(clean(f"{count(len(found.faces), 'face')}, {how}, by the vectors{model}"), "dim"))
