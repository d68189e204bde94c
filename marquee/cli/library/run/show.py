"""Show a picture with all that is known of it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marquee.cli.exits import Exit, call_errors
from marquee.cli.library.people.run.tables import face_cells
from marquee.cli.library.run.search import STATE_STYLES, shown_time, taken
from marquee.cli.options import ListOutput
from marquee.cli.output import count, dollars, findings, label_table, verdict_cells, words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_error, print_json, print_note
from marquee.draw.text import clean
from marquee.library.client import LibraryClient
from marquee.library.enums import CategorySource, TimeSource
from marquee.library.results import Job, LibraryPicture

_INDENT = 2
_STDOUT = "-"
_SOURCES = {
    TimeSource.EXIF: " as EXIF says",
    TimeSource.EXIF_LOCAL: " by its camera's clock",
    TimeSource.OBJECT: " by its file's time",
    TimeSource.ADDED: " or before",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowArgs:
    """Validated arguments of `marquee library show`."""

    picture_id: str
    collection: str
    save: str | None
    draw: Path | None
    server: Server
    timeout: float
    output: ListOutput


def run(args: ShowArgs) -> Exit:
    """Print the picture; write its file and a drawing if asked for. Raises typer.Exit."""
    with call_errors(args.output), args.server.connect_library() as client:
        picture = client.get(args.picture_id, collection=args.collection, timeout=args.timeout)
        content = _content(client, args, picture) if args.save or args.draw else b""
    if args.save != _STDOUT:
        _print(args, picture)
    try:
        if args.save:
            _save(args.save, content)
        if args.draw:
            _draw(args.draw, content, picture)
    except OSError as error:
        print_error(error.filename or "", error.strerror or str(error))
        return Exit.FAILED
    return Exit.OK


def _content(client: LibraryClient, args: ShowArgs, picture: LibraryPicture) -> bytes:
    return client.content(picture.picture_id, collection=args.collection, timeout=args.timeout).content


def _save(target: str, content: bytes) -> None:
    if target == _STDOUT:
        sys.stdout.buffer.write(content)
    else:
        Path(target).write_bytes(content)


def _draw(target: Path, content: bytes, picture: LibraryPicture) -> None:
    from marquee.draw.drawing import Drawing  # noqa: PLC0415 - only drawing needs Pillow

    drawing = Drawing(content, picture.recognition())
    drawing.save(target)
    for note in drawing.notes:
        print_note(note)


def _print(args: ShowArgs, picture: LibraryPicture) -> None:
    if args.output is ListOutput.JSON:
        print_json(picture.to_dict())
        return
    print_line(Text(clean(picture.file_name or picture.picture_id), "bold"), f"  {clean(picture.picture_id)}")
    state = Text(words(picture.state), STATE_STYLES.get(picture.state, "red"))
    print_line(" " * _INDENT, state, "".join(f", {clean(fact)}" for fact in _facts(picture)))
    for table in _tables(picture):
        table.print(_INDENT)
    for line in _lines(picture):
        print_line(" " * _INDENT, line)


def _facts(picture: LibraryPicture) -> Iterator[str]:
    if picture.width:
        yield f"{picture.width}x{picture.height} {picture.format}"
    if picture.size_bytes:
        yield f"{picture.size_bytes:,} bytes"
    if picture.taken_time:
        yield f"taken {taken(picture)}{_SOURCES.get(picture.taken_time_source, '')}"
    if picture.create_time:
        yield f"added {shown_time(picture.create_time)}"
    if picture.cost_micro_usd:
        yield dollars(picture.cost_micro_usd)


def _tables(picture: LibraryPicture) -> Iterator[Table]:
    if picture.faces:
        yield _face_table(picture)
    if picture.labels:
        yield label_table(picture.labels)
    if picture.answers:
        answers = Table("Recognizer", "Outcome", "Model", "When", "From", ">Cost", "Found")
        for answer in picture.answers:
            result = answer.result
            model = f"{result.model.name} {result.model.version}" if result.model else ""
            facts = (clean(model), shown_time(answer.create_time), words(answer.source), dollars(result.cost_micro_usd))
            answers.add_row(clean(result.recognizer), words(result.outcome), *facts, findings(result))
        yield answers
    if picture.places:
        places = Table("Place", "There", "Since")
        for place in picture.places:
            places.add_row(clean(place.location), "yes" if place.current else "no", shown_time(place.create_time))
        yield places


def _face_table(picture: LibraryPicture) -> Table:
    """Return the faces by number, as which commands take them: PICTURE_ID#1."""
    table = Table(">#", "Person", ">Score", "By", "Verdict", "Supported by", "!Face")
    for number, face in enumerate(picture.faces, 1):
        state, name, _, support = verdict_cells(face.verdict)
        says = state if name == clean(face.display_name) else Text(f"{state.content} {name}".rstrip(), state.style)
        table.add_row(str(number), *face_cells(face), says, support, clean(face.face_id))
    return table


def _lines(picture: LibraryPicture) -> Iterator[str | Text]:
    """Yield what is one line each."""
    if picture.texts:
        yield clean("Texts: " + " ".join(f"“{text.content}”" for text in picture.texts))
    if picture.moderation_labels:
        moderation = ", ".join(f"{label.name} {label.score:.2f}" for label in picture.moderation_labels)
        yield Text(clean(f"Moderation: {moderation}"), "yellow")
    if picture.categories:
        by = {CategorySource.RULE: " (by rule)", CategorySource.HAND: " (by hand)"}
        yield clean("Categories: " + ", ".join(one.name + by.get(one.source, "") for one in picture.categories))
    if picture.same_pixels:
        yield clean(f"Same pixels: {', '.join(picture.same_pixels)}")
    if picture.job:
        yield from job_lines(picture.job)
    if picture.delete_time:
        erased = f", and is erased on {shown_time(picture.expire_time)}" if picture.expire_time else ""
        yield Text(f"It is in the trash since {shown_time(picture.delete_time)}{erased}.", "yellow")
    elif picture.expire_time:
        yield Text(f"It is erased on {shown_time(picture.expire_time)}.", "yellow")


def job_lines(job: Job) -> Iterator[str | Text]:
    """Yield what there is to say about the job that recognizes a picture."""
    repeated = f", {count(job.repeated_calls, 'call')} perhaps paid twice" if job.repeated_calls else ""
    yield clean(f"Job: {job.job_id} {words(job.state)}, {count(job.attempts, 'attempt')}{repeated}")
    if job.status.code != "OK":
        again = f", again at {shown_time(job.next_attempt_time)}" if job.next_attempt_time else ""
        yield Text(clean(f"  {job.status.code}: {job.status.message}{again}"), "yellow" if again else "red")
