"""The gateway's verdicts on a picture that shows one person, made again from its recognizers' results."""

from collections.abc import Iterable
from dataclasses import dataclass

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import GatewayConfig
from services.gateway.evaluation.survey import is_person
from services.gateway.fusion import verdict
from services.gateway.fusion.calibration import Calibration, Table, read_table
from services.gateway.fusion.verdict import Rules


@dataclass(frozen=True)
class Rule:
    """How scores become verdicts: by a table, or, without one, as they are."""

    table: Table | None = None
    prior_unknown: float = 0.5
    threshold: float = 0.5
    repeated_people: bool = False

    @classmethod
    def of(cls, config: GatewayConfig) -> "Rule":
        """Return the rule that a gateway with this file has. Raises ValueError, OSError."""
        own = config.calibration
        if own is None:
            return cls(repeated_people=config.repeated_people)
        return cls(read_table(own.table), own.prior_unknown, own.threshold, config.repeated_people)

    def verdicts(self, results: Iterable[pb.RecognizerResult]) -> list[pb.Verdict]:
        """Return the verdicts."""
        calibration = Calibration(self.table, self.prior_unknown, self.threshold) if self.table else None
        return verdict.verdicts(results, Rules(calibration, self.repeated_people))


def identified(verdicts: Iterable[pb.Verdict]) -> list[pb.Verdict]:
    """Return the verdicts that name somebody."""
    return [one for one in verdicts if one.state == pb.VERDICT_STATE_IDENTIFIED]


def named(verdicts: Iterable[pb.Verdict], person: str) -> tuple[pb.Verdict | None, bool]:
    """Return the verdict that names the person, else the likeliest with a name, and whether it is right."""
    best = max(identified(verdicts), key=lambda one: (_is(one, person), one.score), default=None)
    return best, best is not None and _is(best, person)


def counted(verdicts: Iterable[pb.Verdict], person: str) -> tuple[int, int]:
    """Return how many people are named, and how many of them are somebody else than this person."""
    names = identified(verdicts)
    return len(names), sum(not _is(one, person) for one in names)


def _is(one: pb.Verdict, person: str) -> bool:
    return is_person(pb.Candidate(person_id=one.person_id, display_name=one.display_name), person)
