"""Who was found in a picture, whoever answered."""

from collections.abc import Iterator

from marquee.enums import Feature, VerdictState
from marquee.faces import Box, Candidate
from marquee.results import Recognition, RecognizerResult, Support, Verdict


def verdicts_of(recognition: Recognition) -> tuple[Verdict, ...]:
    """The gateway's verdicts, or a recognizer's faces as such where it was asked alone."""
    return recognition.verdicts or tuple(verdict for result in recognition.results for verdict in _of_result(result))


def name_of(verdict: Verdict) -> str:
    """The person's name; for DISAGREE every name that was given; else nothing."""
    if verdict.state is VerdictState.DISAGREE:
        return " or ".join(dict.fromkeys(support.candidate.display_name for support in verdict.support))
    return verdict.display_name


def _of_result(result: RecognizerResult) -> Iterator[Verdict]:
    for face in result.faces:
        yield _verdict(result, face.box, face.candidates[0] if face.candidates else None)
    for candidate in result.image_candidates:
        yield _verdict(result, None, candidate)
    if Feature.CELEBRITIES in result.performed_features and not (result.faces or result.image_candidates):
        yield Verdict(None, VerdictState.NO_FACE, "", "", 0, ())


def _verdict(result: RecognizerResult, box: Box | None, best: Candidate | None) -> Verdict:
    if best is None:
        return Verdict(box, VerdictState.UNKNOWN, "", "", 0, ())
    group = result.model.evidence_group if result.model else ""
    support = (Support(result.recognizer, best, group),)
    return Verdict(box, VerdictState.IDENTIFIED, best.person_id, best.display_name, best.score, support)
