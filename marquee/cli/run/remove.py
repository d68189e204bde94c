"""Remove a person or single faces, after confirmation."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import typer

from marquee.cli.exits import Exit, connect
from marquee.cli.options import ListOutput
from marquee.cli.output import count, words
from marquee.cli.run.faces import Named, named_faces, print_failures
from marquee.cli.server import Server
from marquee.cli.table import Text, print_line
from marquee.cli.terminal import print_error, print_json, print_note
from marquee.client import Client
from marquee.draw.text import clean
from marquee.enrollment import FaceId, FaceRemoval, FacesResult, Removal
from marquee.enums import Outcome
from marquee.errors import NotFound
from marquee.requests import PeopleOptions

_REMOVED = (Outcome.OK, Outcome.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveArgs:
    """Arguments of `marquee remove`."""

    person_id: str
    face_ids: Sequence[str]
    """As shown, or the beginnings of those; with sha256s empty: the whole person."""
    sha256s: Sequence[str]
    confirmed: bool
    server: Server
    timeout: float
    output: ListOutput
    options: PeopleOptions


def run(args: RemoveArgs) -> Exit:
    """Ask, remove the person or the faces, and print what each recognizer removed.

    Raises BadParameter if there is no terminal to ask, typer.Exit if the call fails.
    """
    if not args.confirmed and not sys.stdin.isatty():
        raise typer.BadParameter("cannot ask for confirmation without a terminal: pass --yes.", param_hint="--yes")
    with connect(args.server, args.output) as client:
        if args.face_ids or args.sha256s:
            return _remove_faces(args, client)
        if not args.confirmed and not _confirm(args, client):
            return Exit.FAILED
        removal = client.remove_person(args.person_id, timeout=args.timeout, **args.options)
    _print(args, removal)
    return _print_failures(args, removal)


def _remove_faces(args: RemoveArgs, client: Client) -> Exit:
    """Find the faces by what is shown of their ids, ask, and remove them. Raises NotFound, BadParameter."""
    results = client.list_faces(args.person_id, timeout=args.timeout, **args.options)
    faces = named_faces(results)
    chosen = [_find(name, faces) for name in args.face_ids]
    if missing := [name for name, face in zip(args.face_ids, chosen, strict=True) if face is None]:
        print_failures(args.person_id, results)
        raise NotFound(f"{args.person_id} has no face {' and no face '.join(missing)}. {_show(args)}", code="NOT_FOUND")
    ids = list(dict.fromkeys(face.id for face in chosen if face))
    total = count(len(ids) + len(args.sha256s), "face")
    if not args.confirmed and not typer.confirm(f"Remove {total} of {clean(_name(args, results))}?", err=True):
        return Exit.FAILED
    keys: list[FaceId | str] = [*ids, *args.sha256s]
    removal = client.remove_faces(keys, person_id=args.person_id, timeout=args.timeout, **args.options)
    return _print_faces(args, removal)


def _find(name: str, faces: Sequence[Named]) -> Named | None:
    """Return the face of that name. Raises BadParameter if there are several."""
    found = [face for face in faces if face.has_name(name)]
    if len(found) > 1:
        names = ", ".join(f"{one.recognizer}:{one.face.face_id}" for one in found)
        raise typer.BadParameter(f"{name} may be any of {names}.", param_hint="--face")
    return found[0] if found else None


def _name(args: RemoveArgs, results: Sequence[FacesResult]) -> str:
    names = dict.fromkeys(result.person.display_name for result in results if result.person)
    return " or ".join(names) or args.person_id


def _print_faces(args: RemoveArgs, removal: FaceRemoval) -> Exit:
    """Print what each recognizer removed, and what failed; return the exit code."""
    if args.output is ListOutput.JSON:
        print_json(removal.to_dict())
    failures = [
        (f"{result.recognizer} {words(result.outcome)}", result.status.message)
        for result in removal.results
        if result.outcome not in (*_REMOVED, Outcome.SKIPPED)
    ]
    for result in removal.results:
        removed = sum(face.removed_faces for face in result.faces)
        if args.output is ListOutput.TABLE and result.outcome in _REMOVED:
            name = clean(result.recognizer)
            print_line(f"{name} removed {count(removed, 'face')} of {clean(args.person_id)}")
        failures += [(result.recognizer, face.status.message) for face in result.faces if face.status.code != "OK"]
        for warning in result.warnings:
            print_note(f"{result.recognizer}: {warning}")
    failures = failures or [("", f"{args.person_id} has no face {key}. {_show(args)}") for key in _missing(removal)]
    for name, message in failures:
        print_error(name, message)
    return Exit.FAILED if failures else Exit.OK


def _missing(removal: FaceRemoval) -> Iterator[str]:
    """Yield the keys of which no recognizer had a face."""
    faces = [face for result in removal.results for face in result.faces]
    removed = {face.key for face in faces if face.removed_faces}
    for key in dict.fromkeys(face.key for face in faces if face.key not in removed):
        yield f"{key.face.recognizer}:{key.face.face_id}" if key.face else f"of the picture {key.content_sha256}"


def _show(args: RemoveArgs) -> str:
    return f"`marquee people show {args.person_id}` lists the faces."


def _confirm(args: RemoveArgs, client: Client) -> bool:
    """Show who will be removed. If nobody has the ID there is nothing to ask."""
    people = [
        (result.recognizer, person)
        for result in client.people(timeout=args.timeout, **args.options)
        for person in result.people
        if person.person_id == args.person_id and person.create_time
    ]
    if not people:
        return True
    names = " or ".join(dict.fromkeys(clean(person.display_name) for _, person in people))
    faces = ", ".join(f"{count(person.face_count, 'face')} in {clean(recognizer)}" for recognizer, person in people)
    return typer.confirm(f"Remove {names} ({faces})?", err=True)


def _print(args: RemoveArgs, removal: Removal) -> None:
    if args.output is ListOutput.JSON:
        print_json(removal.to_dict())
        return
    for result in removal.results:
        name = clean(result.recognizer)
        if result.outcome is Outcome.SKIPPED:
            print_line(Text(f"{name} skipped: {clean(result.status.message)}", "dim"))
        elif result.outcome in _REMOVED:
            print_line(f"{name} removed {count(result.removed_faces, 'face')} of {clean(args.person_id)}")


def _print_failures(args: RemoveArgs, removal: Removal) -> Exit:
    """Print what failed and return the exit code. An unknown person is a failure here, though not for the server."""
    failures = [
        (f"{result.recognizer} {words(result.outcome)}", f"{result.status.message} It is safe to run this again.")
        for result in removal.results
        if result.outcome not in (*_REMOVED, Outcome.SKIPPED)
    ]
    failures += [(result.recognizer, warning) for result in removal.results for warning in result.warnings]
    if not any(result.removed_faces or result.warnings for result in removal.results):
        failures += [("", f"Nobody is enrolled as {args.person_id}. `marquee people` lists the known people.")]
    for name, message in failures:
        print_error(name, message)
    return Exit.FAILED if failures else Exit.OK
