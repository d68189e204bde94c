"""Show why a face has its name."""

from marquee.cli.exits import Exit
from marquee.cli.library.people.run.names import face_ids_of
from marquee.cli.library.people.run.tables import face_cells, print_undo
from marquee.cli.library.people.session import Session
from marquee.cli.output import words
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_json
from marquee.draw.text import clean
from marquee.library.people.enums import Band
from marquee.library.people.results import FaceExplanation, FoundFace, Opinion

_INDENT = 2
_SHOWN_NEIGHBOURS = 5
"""JSON has all."""
_STYLES = {Band.ASSIGN: "green", Band.SUGGEST: "yellow"}


def why(session: Session, face: str) -> Exit:
    """Explain a face's name. Raises typer.Exit."""
    (face_id,) = face_ids_of(session, [face])
    with session.people() as client:
        explanation = client.explain(face_id, **session.own)
    if session.is_json:
        print_json(explanation.to_dict())
    else:
        _print_explanation(explanation)
    return Exit.OK


def _print_explanation(explanation: FaceExplanation) -> None:
    """Print who the face is, and why in sentences, then what machines say, and which faces are nearest."""
    found = explanation.face
    name, score, by = face_cells(found.face)
    facts = " ".join(part for part in (score, by and f"({by})") if part)
    print_line(
        Text(name or "Nobody who is known", "bold"), f"  {facts}{'  ' if facts else ''}face {clean(found.face.face_id)}"
    )
    for reason in explanation.reasons:
        print_line(clean(f"  {reason}"))
    if explanation.opinions:
        _opinion_table(explanation.opinions).print(_INDENT)
    if explanation.neighbours:
        _neighbour_table(explanation.neighbours[:_SHOWN_NEIGHBOURS]).print(_INDENT)
    if explanation.decision:
        print_undo(explanation.decision.action_id)


def _opinion_table(opinions: tuple[Opinion, ...]) -> Table:
    table = Table("Says", "Who", ">Score", "Sure enough to", "Model", "Overruled")
    for one in opinions:
        band = Text(words(one.band), _STYLES.get(one.band, "dim"))
        model = clean(f"{one.model} {one.version}".strip())
        table.add_row(clean(one.source), clean(one.display_name), f"{one.score:.2f}", band, model, clean(one.overruled))
    return table


def _neighbour_table(faces: tuple[FoundFace, ...]) -> Table:
    table = Table("!Nearest", "Person", ">Score", "By", ">Distance", "!Picture")
    for one in faces:
        distance = "" if one.distance is None else f"{one.distance:.3f}"
        table.add_row(clean(one.face.face_id), *face_cells(one.face), distance, clean(one.picture_id))
    return table
