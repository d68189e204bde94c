"""Recognizers' results that come from elsewhere: checked, and judged without a gateway. Pure."""

from collections.abc import Iterable, Iterator

from google.protobuf.message import Message

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import boxes


def wrong_numbers(message: Message) -> Iterator[str]:
    """Yield the names of a message's scores and boxes that are not within 0 and 1."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else (value,)
        if field.name.endswith("score") and not all(0 <= one <= 1 for one in values):
            yield field.name
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for one in values:
            if isinstance(one, pb.BoundingBox) and not boxes.is_inside(one):
                yield "box"
            yield from wrong_numbers(one)


def verdicts_of(results: Iterable[pb.RecognizerResult]) -> list[pb.Verdict]:
    """Return a verdict for each face, and for each person without one, whom several may name: each recognizer's counts.

    NO_FACE: somebody looked for people, and nobody found a face.
    """
    faces, people, looked = list[pb.Verdict](), dict[tuple[str, str], pb.Verdict](), False
    for result in results:
        looked = looked or pb.FEATURE_CELEBRITIES in result.performed_features
        faces += (_verdict(result, face.candidates, face.box) for face in result.faces)
        for verdict in _of_people(result):
            known = people.setdefault((verdict.person_id, verdict.display_name), verdict)
            if known is not verdict:
                known.support.extend(verdict.support)
                known.score = max(known.score, verdict.score)
    found = [*sorted(faces, key=lambda one: one.box.left), *people.values()]
    return found or ([pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)] if looked else [])


def _of_people(result: pb.RecognizerResult) -> Iterator[pb.Verdict]:
    verdicts = (_verdict(result, [candidate]) for candidate in result.image_candidates)
    return (one for one in verdicts if one.state == pb.VERDICT_STATE_IDENTIFIED)


def _verdict(
    result: pb.RecognizerResult, candidates: Iterable[pb.Candidate], box: pb.BoundingBox | None = None
) -> pb.Verdict:
    best = max(candidates, key=lambda one: one.score, default=None)
    basis = pb.VERDICT_BASIS_SCORES
    if best is None or not best.score >= result.model.identify_score:
        return pb.Verdict(box=box, state=pb.VERDICT_STATE_UNKNOWN, basis=basis)
    return pb.Verdict(
        box=box,
        state=pb.VERDICT_STATE_IDENTIFIED,
        person_id=best.person_id,
        display_name=best.display_name,
        score=best.score,
        support=[pb.Support(recognizer=result.recognizer, candidate=best, evidence_group=result.model.evidence_group)],
        basis=basis,
    )
