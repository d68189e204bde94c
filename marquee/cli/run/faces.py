"""Show a person's faces, by ids as short as they can be told apart, and find those that the user names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from marquee.cli.exits import Exit, connect
from marquee.cli.options import ListOutput
from marquee.cli.output import words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_error, print_json
from marquee.draw.text import clean
from marquee.enrollment import FaceId, FacesResult, PersonFace
from marquee.enums import Outcome
from marquee.requests import PeopleOptions

_SHORT = 8
"""Characters of an id that are shown, at least."""
_SHORTEST = 4
"""Characters of an id that name a face, at least."""
_LISTED = (Outcome.OK, Outcome.PARTIAL)


def run(person_id: str, server: Server, timeout: float, output: ListOutput, options: PeopleOptions) -> Exit:
    """Print the person's faces, and recognizers that failed to standard error. Raises typer.Exit if the call fails."""
    with connect(server, output) as client:
        results = client.list_faces(person_id, timeout=timeout, **options)
    if output is ListOutput.JSON:
        print_json([result.to_dict() for result in results])
    else:
        _print_table(person_id, results)
    return print_failures(person_id, results)


@dataclass(frozen=True, slots=True)
class Named:
    """A face of a person, as the user names it."""

    recognizer: str
    face: PersonFace
    short_id: str

    @property
    def id(self) -> FaceId:
        """The whole id."""
        return FaceId(self.recognizer, self.face.face_id)

    def has_name(self, name: str) -> bool:
        """Return whether the name is the beginning of the id, alone or after the recognizer and a colon."""
        own = name.removeprefix(f"{self.recognizer}:")
        return own == self.face.face_id or (len(own) >= _SHORTEST and self.face.face_id.startswith(own))


def named_faces(results: Sequence[FacesResult]) -> list[Named]:
    """Return all faces; short ids are told apart within their recognizer."""
    return [
        Named(result.recognizer, face, short)
        for result in results
        for face, short in zip(result.faces, _short_ids([face.face_id for face in result.faces]), strict=True)
    ]


def print_failures(person_id: str, results: Sequence[FacesResult]) -> Exit:
    """Print which recognizers did not list the faces, and that nobody is known; return the exit code."""
    failures = [result for result in results if result.outcome not in (*_LISTED, Outcome.SKIPPED)]
    for result in failures:
        print_error(f"{result.recognizer} {words(result.outcome)}", result.status.message)
    is_known = any(result.person or result.faces for result in results)
    if not (is_known or failures):
        print_error("", f"Nobody is known as {person_id}. `marquee people` lists the known people.")
    return Exit.FAILED if failures or not is_known else Exit.OK


def _print_table(person_id: str, results: Sequence[FacesResult]) -> None:
    if faces := named_faces(results):
        table = Table("Recognizer", "Face", "From", "Enrolled")
        for one in faces:
            time = one.face.create_time
            when = f"{time.astimezone():%Y-%m-%d %H:%M}" if time else ""
            table.add_row(*map(clean, (one.recognizer, one.short_id, _origin(one.face), when)))
        names = dict.fromkeys(result.person.display_name for result in results if result.person)
        print_line(Text(clean(" or ".join(names)), "bold"), Text(f"  {clean(person_id)}", "dim"))
        table.print()
    for line in _remarks(results):
        print_line(Text(clean(line), "dim"))


def _remarks(results: Sequence[FacesResult]) -> Iterator[str]:
    for result in results:
        if result.outcome is Outcome.SKIPPED:
            yield f"{result.recognizer} skipped: {result.status.message}"
        elif result.person and result.person.trained:
            yield f"{result.recognizer} was trained on {result.person.display_name}, too: those faces have no id."
        elif result.person and not result.faces:
            yield f"{result.recognizer} knows {result.person.display_name} without a face."


def _origin(face: PersonFace) -> str:
    """Return the object that the face came from, else the first digits of its picture's SHA-256."""
    if face.s3_object:
        version = f"?versionId={face.s3_object.version_id}" if face.s3_object.version_id else ""
        return f"s3://{face.s3_object.bucket}/{face.s3_object.key}{version}"
    return f"sha256 {face.content_sha256[:12]}" if face.content_sha256 else "unknown"


def _short_ids(ids: Sequence[str]) -> list[str]:
    """Return the ids cut to one length, at which all differ."""
    lengths = range(_SHORT, max(map(len, ids), default=_SHORT))
    length = next((one for one in lengths if len({face_id[:one] for face_id in ids}) == len(set(ids))), None)
    return [face_id[:length] for face_id in ids]
