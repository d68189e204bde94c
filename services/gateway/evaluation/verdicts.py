"""The gateway's verdicts on a picture that shows one person, made again from its recognizers' results."""

from collections.abc import Iterable
from dataclasses import dataclass

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.evaluation.survey import is_person
from services.gateway.fusion import verdict
from services.gateway.fusion.calibration import Calibration, Table
from services.gateway.fusion.verdict import Rules


@dataclass(frozen=True)
class Rule:
    """How scores become verdicts: by a table, or, without one, as they are."""

    table: Table | None = None
    prior_unknown: float = 0.5
    threshold: float = 0.5

    def verdicts(self, results: Iterable[pb.RecognizerResult]) -> list[pb.Verdict]:
        """Return the verdicts."""
        calibration = Calibration(self.table, self.prior_unknown, self.threshold) if self.table else None
        return verdict.verdicts(results, Rules(calibration))


def named(verdicts: Iterable[pb.Verdict], person: str) -> tuple[pb.Verdict | None, bool]:
    """Return the verdict that names the person, else the likeliest with a name, and whether it is right."""
    identified = [one for one in verdicts if one.state == pb.VERDICT_STATE_IDENTIFIED]
    best = max(identified, key=lambda one: (_is(one, person), one.score), default=None)
    return best, best is not None and _is(best, person)


def _is(one: pb.Verdict, person: str) -> bool:
    return is_person(pb.Candidate(person_id=one.person_id, display_name=one.display_name), person)
