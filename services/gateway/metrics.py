"""What the gateway alone can measure: recognizers as their caller sees them."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.server.metrics import BUCKETS

_seconds = Histogram(
    "marquee_backend_duration_seconds",
    "From asking a recognizer to its answer.",
    ("recognizer", "outcome"),
    buckets=BUCKETS,
)
_results = Counter("marquee_backend_results", "Results by recognizer and outcome.", ("recognizer", "outcome"))
_verdicts = Counter("marquee_verdicts", "Verdicts by state.", ("state",))


def count_result(recognizer: str, outcome: pb.Outcome.ValueType, seconds: float) -> None:
    """Counts one recognizer's answer; the name is the configuration's, never the request's."""
    name = outcome_name(outcome)
    _results.labels(recognizer, name).inc()
    _seconds.labels(recognizer, name).observe(seconds)


def count_verdicts(verdicts: Iterable[pb.Verdict]) -> None:
    """Counts verdicts by state."""
    for verdict in verdicts:
        _verdicts.labels(pb.VerdictState.Name(verdict.state).removeprefix("VERDICT_STATE_").lower()).inc()


def outcome_name(outcome: pb.Outcome.ValueType) -> str:
    """The outcome as labels and logs have it: "ok", "timeout"."""
    return pb.Outcome.Name(outcome).removeprefix("OUTCOME_").lower()
