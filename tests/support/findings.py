"""Results of recognizers, written short."""

from marquee.v1 import recognizer_pb2 as pb
from services.gateway import fusion

LEFT = (0.1, 0.2, 0.2, 0.3)
NEAR_LEFT = (0.12, 0.22, 0.2, 0.3)
RIGHT = (0.6, 0.2, 0.2, 0.3)
Place = tuple[float, float, float, float]


def box(place: Place) -> pb.BoundingBox:
    left, top, width, height = place
    return pb.BoundingBox(left=left, top=top, width=width, height=height)


def face(place: Place, name: str = "", score: float = 0.9) -> pb.Face:
    """Return a face; without a name, an unknown one."""
    return pb.Face(box=box(place), candidates=[candidate(name, score)] if name else [])


def candidate(name: str, score: float = 0.9) -> pb.Candidate:
    return pb.Candidate(person_id=f"id of {name}", display_name=name, score=score)


def result(recognizer: str, *faces: pb.Face, group: str = "", **fields: object) -> pb.RecognizerResult:
    """Return the result of a recognizer that looked for celebrities."""
    result = pb.RecognizerResult(
        recognizer=recognizer,
        outcome=pb.OUTCOME_OK,
        faces=faces,
        performed_features=[pb.FEATURE_CELEBRITIES],
        model=pb.Model(evidence_group=group),
    )
    result.MergeFrom(pb.RecognizerResult(**fields))
    return result


def summary(*results: pb.RecognizerResult) -> list[tuple[str, str]]:
    """Return state and name of each verdict."""
    return [
        (pb.VerdictState.Name(one.state).removeprefix("VERDICT_STATE_"), one.display_name)
        for one in fusion.verdicts(results)
    ]
