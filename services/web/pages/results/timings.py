"""Where the time of a call went: bars from when each part began to when it was over. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from marquee.v1 import recognizer_pb2 as pb
from services.web.pages import words
from services.web.pages.words import clean

_SCALE = 1000.0


@dataclass(frozen=True)
class Span:
    """A stretch of time, in thousandths of the call's."""

    kind: str
    """"receiving", "network", "waiting", "recognizing" or "verdicts"."""
    start: float
    width: float


@dataclass(frozen=True)
class Part:
    """What one recognizer, or the gateway itself, did in the call."""

    name: str
    time: str
    spans: Sequence[Span]

    @property
    def label(self) -> str:
        """The spans in words, for those who do not see them."""
        return ", ".join(dict.fromkeys(span.kind for span in self.spans if span.width))


def parts(answer: pb.RecognizeImageResponse) -> list[Part]:
    """Return the parts of a whole answer, in order; none of a gateway that tells no times."""
    total = seconds(answer.timings.total)
    if not total or not answer.timings.HasField("recognizers"):
        return []
    return [_part(name, start, spans, total) for name, start, spans in _spans(answer, total)]


def seconds(duration: Duration) -> float:
    """Return the duration in seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


def _spans(answer: pb.RecognizeImageResponse, total: float) -> Iterator[tuple[str, float, Sequence[tuple[str, float]]]]:
    """Yield name, start, and kinds with their seconds; of the network's time half is the way there."""
    yield "Your picture", 0, [("receiving", seconds(answer.timings.queue))]
    for result in answer.results:
        times = result.timings
        if times.HasField("start"):
            way = seconds(times.network) / 2
            work = [("waiting", seconds(times.queue)), ("recognizing", seconds(times.recognizer))]
            yield clean(result.recognizer), seconds(times.start), [("network", way), *work, ("network", way)]
    fusion = seconds(answer.timings.fusion)
    yield "Verdicts", total - fusion, [("verdicts", fusion)]


def _part(name: str, start: float, spans: Sequence[tuple[str, float]], total: float) -> Part:
    now, scaled = start, []
    for kind, length in spans:
        left, right = (min(max(moment / total, 0.0), 1.0) * _SCALE for moment in (now, now + length))
        scaled.append(Span(kind, round(left, 1), round(right - left, 1)))
        now += length
    return Part(name, words.duration(now - start), scaled)
