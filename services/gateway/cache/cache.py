"""The gateway's memory for answers, and calls that several callers wait for."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, partial

from prometheus_client import Counter

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.backend import Backend
from services.gateway.backends.models import Versions
from services.gateway.cache.memory import Memory
from services.gateway.cache.question import Answer, Keys, Question, late
from services.runtime.doors.caller import current
from services.runtime.messages.envelope import Picture
from services.runtime.server.admission import Holding, apart
from services.runtime.server.bulkhead import is_batch

_LATE_SHARE, _LATE_SECONDS = 0.1, 0.25
"""By how much a call may end before the time of one that joins it, of that time or in seconds."""
_asked = Counter(
    "marquee_cache_requests",
    "Total questions to a recognizer by what became of them: hit, shared (another caller's call was under way), miss, "
    "bypassed (no_cache, FACE_SEARCH, embeddings that it gives, or an S3 object without a version).",
    ("recognizer", "outcome"),
)
_saved = Counter("marquee_cache_saved_dollars", "Total dollars that kept and shared answers saved.", ("recognizer",))


@dataclass(eq=False)
class _Flight:
    """A call that is under way."""

    key: tuple[bytes, str, bool]
    """Of those who may share it."""
    backend: Backend
    end: float
    """When it ends at the latest, on time.monotonic()'s clock."""
    versions: Versions | None
    generation: int
    """Of the recognizer's models when it began."""
    holding: Holding | None
    """What it holds of its own: the call that began it may end before."""
    task: asyncio.Task[Answer] = field(init=False)
    waiting: "list[_Waiting]" = field(default_factory=list)
    is_billed: bool = False
    """Whether somebody has been told what it cost, or may cost."""

    def bill(self, price: int) -> int:
        """Return what is told to one who does not wait any more: the price, unless somebody else has been told it."""
        if self.is_billed or not price:
            return 0
        self.is_billed = True
        return price


class _Waiting(asyncio.Future[Answer]):
    """The answer to come of a call that others may wait for, too."""

    def __init__(self, flight: _Flight, question: Question) -> None:
        super().__init__()
        self.flight = flight
        self.question = question
        self.alarm: asyncio.TimerHandle | None = None
        """For one that has joined, and may have less time."""

    def silence(self) -> None:
        """Have the alarm not go off any more."""
        if self.alarm is not None:
            self.alarm.cancel()


class Cache:
    """Answers to equal questions: from memory, or from one call that all wait for."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._flights: dict[tuple[bytes, str, bool], _Flight] = {}
        self._tasks: set[asyncio.Task[Answer]] = set()

    def resize(self, mib: int, ttl: float, recognizers: Iterable[str] = ()) -> None:
        """Keep so many MiB for so many seconds from now on; 0 MiB: ask each time. Counts begin for the recognizers."""
        self._memory.resize(mib, ttl)
        for name in recognizers:
            _saved.labels(name)  # from 0 on, so that Prometheus sees the first one, too
            for outcome in ("hit", "shared", "miss", "bypassed"):
                _counter(name, outcome)

    def close(self) -> None:
        """Cancel the calls that nobody waits for."""
        for task in self._tasks:
            task.cancel()

    def keys(self, request: pb.RecognizeImageRequest, picture: Picture | None = None) -> Keys | None:
        """Return what makes the keys of a request's questions; None if this asks each time."""
        return None if self._memory.is_off else Keys(request, picture)

    def ask(self, question: Question) -> asyncio.Future[Answer]:
        """Return the answer to come: a kept one, that of a call under way, or that of a new call.

        It never fails because of the recognizer. Whoever does not wait for it any more has to `leave`.
        """
        name, key = question.backend.name, question.key
        if key is None:
            _count(name, "bypassed")
            return asyncio.create_task(question.ask())
        kept = self._kept(question.backend, key)
        if kept is not None:
            _count(name, "hit")
            answer = asyncio.get_running_loop().create_future()
            answer.set_result(_told_saved(name, _free(Answer.FromString(kept))))
            return answer
        flight, is_new = self._flight(key, question)
        _count(name, "miss" if is_new else "shared")
        return self._join(flight, question, is_new=is_new)

    def leave(self, asked: asyncio.Future[Answer], price: int = 0) -> int:
        """Cancel an answer to come; return the price to tell: of all who wait for a call, one is told it, others 0.

        The call ends if nobody waits any more, unless it may cost money: then its answer is kept for the next.
        """
        is_waiting = asked.cancel()
        if not isinstance(asked, _Waiting):
            return price
        if is_waiting:
            self._leave(asked)
        return asked.flight.bill(price)

    def recall(self, key: bytes, backends: Iterable[Backend]) -> Answer | None:
        """Return the response of that key, if it is kept and holds for the models of the moment."""
        told: dict[str, frozenset[tuple[str, str]]] = {}
        for backend in backends:
            if backend.models.versions is None:
                return None
            told.update(backend.models.versions)
        entry = self._memory.find(key, told)
        if entry is None:
            return None
        for name, saved in entry.saved:
            _count(name, "hit")
            _count_saved(name, saved)
        return Answer.FromString(entry.answer)

    def remember(self, key: bytes, response: Answer, parts: Mapping[str, tuple[bytes, int]]) -> None:
        """Keep a response that is made of kept answers: of each recognizer's, its key and what it saves."""
        own = _copy(response)
        _forget_call(own)
        keys, saved = zip(*parts.values(), strict=True)
        self._memory.join(key, own.SerializeToString(), keys, tuple(zip(parts, saved, strict=True)))

    def holds(self, backend: Backend, key: bytes | None) -> bool:
        """Return whether the answer of that key is kept, so that it costs nothing."""
        return key is not None and self._kept(backend, key) is not None

    def _kept(self, backend: Backend, key: bytes) -> bytes | None:
        versions = backend.models.versions
        return None if versions is None else self._memory.get(key, versions)

    def _flight(self, key: bytes, question: Question) -> tuple[_Flight, bool]:
        """Return a call that is under way for the question, or a new one, and whether it is new."""
        models, now = question.backend.models, time.monotonic()
        own = (key, _payer(question.backend), is_batch())  # a batch's call may be refused where others' are not
        flight = self._flights.get(own)
        early = max(_LATE_SHARE * question.timeout, _LATE_SECONDS)
        if (
            flight is not None
            and flight.end >= now + question.timeout - early
            and (flight.generation, flight.versions) == (models.generation, models.versions)
        ):
            return flight, False
        flight = _Flight(own, question.backend, now + question.timeout, models.versions, models.generation, apart())
        self._flights[own] = flight
        flight.task = asyncio.create_task(_fly(flight, question))
        self._tasks.add(flight.task)
        flight.task.add_done_callback(partial(self._land, flight))
        return flight, True

    def _join(self, flight: _Flight, question: Question, *, is_new: bool) -> asyncio.Future[Answer]:
        """Return the call's answer to come, or that it did not come in time."""
        waiting = _Waiting(flight, question)
        flight.waiting.append(waiting)
        if not is_new:
            waiting.alarm = waiting.get_loop().call_later(question.timeout, self._give_up, waiting)
        return waiting

    def _land(self, flight: _Flight, task: asyncio.Task[Answer]) -> None:
        """Keep the answer, and give it to all who wait."""
        self._tasks.discard(task)
        self._close(flight)
        waiting, name = flight.waiting, flight.backend.name
        for one in waiting:
            one.silence()
        if task.cancelled() or task.exception() is not None:
            for one in waiting:
                _fail(one, task)
            return
        answer = task.result()
        self._keep(flight, answer)
        own = [answer, *(_copy(answer) for _ in waiting[1:])]  # before the first one is changed by whom it is for
        for one, copy in zip(waiting, own, strict=False):
            one.set_result(_told_saved(name, _free(copy)) if flight.is_billed else copy)
            flight.is_billed = True

    def _give_up(self, waiting: _Waiting) -> None:
        """Tell one who has joined that the answer did not come in time."""
        question = waiting.question
        waiting.set_result(late(question.backend, waiting.flight.bill(question.price)))
        self._leave(waiting)

    def _leave(self, waiting: _Waiting) -> None:
        flight = waiting.flight
        waiting.silence()
        flight.waiting.remove(waiting)
        if flight.waiting or flight.task.done():
            return
        if not flight.backend.is_paid:
            self._close(flight)
            flight.task.cancel()
        elif flight.holding is not None:
            flight.holding.take(waiting.question.size)

    def _close(self, flight: _Flight) -> None:
        """Let nobody join the call any more."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _keep(self, flight: _Flight, answer: Answer) -> None:
        """Keep the answer if all of it is OK, and of the models that the recognizer told last."""
        backend = flight.backend
        versions = backend.models.versions
        if versions is None or flight.generation != backend.models.generation:
            return
        held = {}
        for result in answer.results:
            models = versions.get(result.recognizer, frozenset())
            is_current = not result.model.name or (result.model.name, result.model.version) in models
            if result.outcome != pb.OUTCOME_OK or result.from_cache or not is_current:
                return
            held[result.recognizer] = models
        self._memory.put(flight.key[0], answer.SerializeToString(), held)


async def _fly(flight: _Flight, question: Question) -> Answer:
    with flight.holding or nullcontext():
        return await question.ask()


def _fail(waiting: asyncio.Future[Answer], task: asyncio.Task[Answer]) -> None:
    """End the waiting as the call has ended."""
    error = None if task.cancelled() else task.exception()
    if error is None:
        waiting.cancel()
    else:
        waiting.set_exception(error)


def _payer(backend: Backend) -> str:
    """Return whose money a call may need: a caller with a limit of their own shares no call that costs any."""
    caller = current()
    return caller.name if backend.is_paid and caller.daily_micro_usd is not None else ""


def _free(answer: Answer) -> Answer:
    """Make the answer one that was not asked for: it cost nothing, and took no time."""
    answer.saved_micro_usd += answer.cost_micro_usd
    answer.ClearField("cost_micro_usd")
    _forget_call(answer)
    for result in answer.results:
        result.ClearField("cost_micro_usd")
        result.from_cache = result.outcome == pb.OUTCOME_OK
    return answer


def _forget_call(answer: Answer) -> None:
    """Leave out what is true of one call only."""
    answer.ClearField("request_id")
    answer.ClearField("timings")
    for result in answer.results:
        result.ClearField("timings")


def _copy(answer: Answer) -> Answer:
    copy = Answer()
    copy.CopyFrom(answer)
    return copy


def _told_saved(recognizer: str, answer: Answer) -> Answer:
    _count_saved(recognizer, answer.saved_micro_usd)
    return answer


def _count_saved(recognizer: str, micro_usd: int) -> None:
    if micro_usd:
        _saved.labels(recognizer).inc(micro_usd / 1e6)


def _count(recognizer: str, outcome: str) -> None:
    _counter(recognizer, outcome).inc()


@cache
def _counter(recognizer: str, outcome: str) -> Counter:
    return _asked.labels(recognizer, outcome)
