"""Show why a face has its name."""

from collections.abc import Iterator

from marquee.cli.library.people.run.tables import face_cells, print_faces
from marquee.cli.library.run.search import shown_time
from marquee.cli.output import count, words
from marquee.cli.table import Table, Text, print_line
from marquee.draw.text import clean
from marquee.library.people.enums import Band
from marquee.library.people.results import Decision, FaceExplanation, Opinion, Refusal

_INDENT = 2
_STYLES = {Band.ASSIGN: "green", Band.SUGGEST: "yellow"}


def print_explanation(explanation: FaceExplanation) -> None:
    """Print who the face is, in sentences, then what these follow from."""
    found = explanation.face
    name, score, by = face_cells(found.face)
    facts = " ".join(part for part in (score, by and f"({by})") if part)
    print_line(Text(name or "Nobody who is known", "bold"), f" {facts}  face {clean(found.face.face_id)}")
    for reason in explanation.reasons:
        print_line(clean(f"  {reason}"))
    if explanation.decision:
        print_line(Text(clean(f"  Decision: {_decision(explanation.decision)}")))
    for refusal in explanation.refusals:
        print_line(Text(clean(f"  Refused: {_refusal(refusal)}"), "yellow"))
    if explanation.opinions:
        _opinion_table(explanation.opinions).print(_INDENT)
    if explanation.neighbours:
        print_line("  Near it:")
        print_faces(explanation.neighbours)
    for line in _undone(explanation):
        print_line(Text(clean(f"  {line}"), "dim"))


def _decision(decision: Decision) -> str:
    what = decision.display_name or words(decision.mark)
    by = f" by {decision.caller}" if decision.caller else ""
    return f"{what}{by}, {shown_time(decision.create_time)}"


def _refusal(refusal: Refusal) -> str:
    by = f" by {refusal.caller}" if refusal.caller else ""
    return f"{refusal.display_name}{by}, {shown_time(refusal.create_time)}"


def _opinion_table(opinions: tuple[Opinion, ...]) -> Table:
    table = Table("Says", "Who", ">Score", "Sure enough to", "Model", "Overruled")
    for one in opinions:
        band = Text(words(one.band), _STYLES.get(one.band, "dim"))
        model = clean(f"{one.model} {one.version}".strip())
        table.add_row(clean(one.source), clean(one.display_name), f"{one.score:.2f}", band, model, clean(one.overruled))
    return table


def _undone(explanation: FaceExplanation) -> Iterator[str]:
    """Yield what undoing the decision would change."""
    if (decision := explanation.decision) is None:
        return
    without = explanation.without_decision
    yield f"Without the decision it would show {without.display_name if without else 'nobody who is known'}."
    if number := len(explanation.affected_face_ids):
        yield f"{count(number, 'other face')} might get another name."
    if decision.action_id:
        yield f"undo: marquee library people undo {decision.action_id}"
