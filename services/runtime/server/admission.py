"""Memory for requests: places for those being received, and the bytes of those being answered.

gRPC tells neither the size of a message nor how much of it is there before all of it is. So a request is read only in
a place, which stands for the 16 MiB that it may have. Until then gRPC takes in 64 KiB, and the rest stays at the
client. Places are for all: a request that arrives slowly gives its place up when others wait for one.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

import grpc
from prometheus_client import Gauge

from services.runtime.errors import OutOfTime, Overloaded
from services.runtime.limits import MAX_MESSAGE_BYTES, MIB

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
PLACES = 4
"""Places that do not count against the limit, so that a server full of requests still receives small ones."""
_PATIENCE_SECONDS = 0.25
_SLOW_SECONDS = 5.0
_RECEIPT_SECONDS = 60.0
_WAIT_SECONDS = 3.0
_MAX_WAITING = 256
_in_flight = Gauge(
    "marquee_in_flight_bytes",
    "Memory for requests in flight, in bytes: 16 MiB for each that is being received, and what is held of the others.",
)


@dataclass(eq=False)
class _Receipt:
    """A request that is being received, or waits for a place."""

    peer: str
    place: asyncio.Future[bool] | None = None
    """Whether it gets the place that it waits for."""
    limit: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    begin: float = 0.0
    gave_way: bool = False

    @property
    def host(self) -> str:
        """The caller's address without its port."""
        return self.peer.rpartition(":")[0]


class Admission:
    """Room for requests.

    At most `max_bytes` are held by those being answered, and by those being received beyond the first `places`; a call
    that is alone may hold more.

    Once a call has waited for a place for `patience` seconds, one that has had its place for as long gives way: of the
    host, and then the connection, with most places the one that came last, since the others will be done sooner, or
    the first one if it has taken 5 s. A free place goes to the host, and then the connection, that has fewest, and to
    the call that came last: a small request does not wait behind many that stall.
    """

    in_flight = 0
    """Bytes that all together count."""

    def __init__(self, max_bytes: int, places: int = PLACES, patience: float = _PATIENCE_SECONDS) -> None:
        self._max_bytes = max_bytes
        self._places = places
        self._patience = patience
        self._held = 0
        self._receiving: dict[_Receipt, None] = {}
        self._waiting: dict[_Receipt, None] = {}

    def holding(self) -> "Holding":
        """Count until the end of the returned context what the call adds."""
        return Holding(self)

    async def receive(self, context: _Context, holding: "Holding") -> Any:
        """Return the call's next message, grpc.aio.EOF if there is none. Raises Overloaded, OutOfTime."""

        async def read(receipt: _Receipt) -> Any:
            message = await context.read()
            self._leave(receipt)
            if message is not grpc.aio.EOF:
                holding.add(len(message))
            return message

        return await self.in_place(context, read, _RECEIPT_SECONDS)

    async def in_place(
        self, context: _Context, receive: Callable[[_Receipt], Awaitable[Any]], seconds: float | None = None
    ) -> Any:
        """Wait for a place, then receive in it, for `seconds` at most. Raises Overloaded, OutOfTime."""
        receipt = _Receipt(context.peer())
        try:
            if self._has_room():
                self._enter(receipt)
            else:
                await self._wait(receipt)
            async with receipt.limit:
                receipt.limit.reschedule(seconds and receipt.begin + seconds)
                return await receive(receipt)
        except TimeoutError:
            if not receipt.limit.expired():
                raise
            raise _ending(receipt) from None
        finally:
            self._leave(receipt)
            self._give_places()

    def add(self, size: int, own: float) -> None:
        """Count bytes as held by a call that holds `own`. Raises Overloaded, unless no other call holds any."""
        if self._held > own and self._taken + size > self._max_bytes:
            raise Overloaded(
                f"The server has {self._held / MIB:.0f} MiB of requests in flight; "
                f"the limit is {self._max_bytes / MIB:.0f} MiB. Try again later."
            )
        self._add(size)

    def release(self, size: int) -> None:
        """Count bytes as held no longer."""
        self._add(-size)
        self._give_places()

    def _add(self, size: int) -> None:
        self._held += size
        Admission.in_flight += size

    @property
    def _taken(self) -> int:
        return self._held + max(0, len(self._receiving) - self._places) * MAX_MESSAGE_BYTES

    def _has_room(self) -> bool:
        return len(self._receiving) < self._places or self._taken + MAX_MESSAGE_BYTES <= self._max_bytes

    async def _wait(self, receipt: _Receipt) -> None:
        receipt.place = place = asyncio.get_running_loop().create_future()
        self._waiting[receipt] = None
        if len(self._waiting) > _MAX_WAITING:
            self._dismiss(next(iter(self._waiting)))
        for _ in range(round(_WAIT_SECONDS / self._patience)):
            await asyncio.wait((place,), timeout=self._patience)
            if place.done():
                break
            self._free_a_place(receipt)
        if not (place.done() and place.result()):
            raise Overloaded("The server is receiving as many requests as it has room for. Try again later.")

    def _enter(self, receipt: _Receipt) -> None:
        receipt.begin = asyncio.get_running_loop().time()
        self._receiving[receipt] = None
        Admission.in_flight += MAX_MESSAGE_BYTES

    def _leave(self, receipt: _Receipt) -> None:
        self._waiting.pop(receipt, None)
        if receipt in self._receiving:
            del self._receiving[receipt]
            Admission.in_flight -= MAX_MESSAGE_BYTES

    def _dismiss(self, receipt: _Receipt) -> None:
        self._decide(receipt, is_given=False)

    def _decide(self, receipt: _Receipt, *, is_given: bool) -> None:
        del self._waiting[receipt]
        if receipt.place is not None:
            receipt.place.set_result(is_given)

    def _give_places(self) -> None:
        while self._waiting and self._has_room():
            receipt = min(reversed(self._waiting), key=self._shares())
            self._enter(receipt)
            self._decide(receipt, is_given=True)

    def _free_a_place(self, waiting: _Receipt) -> None:
        """Make a slow receipt give way, unless its host or connection has fewer places than the waiting one's."""
        now, share = asyncio.get_running_loop().time(), self._shares()
        slow = [
            each
            for each in self._receiving
            if now - each.begin >= self._patience and not each.gave_way and share(each) >= share(waiting)
        ]
        if slow:
            receipt = max(slow, key=lambda each: (share(each), _urgency(now - each.begin)))
            receipt.gave_way = True
            receipt.limit.reschedule(now)

    def _shares(self) -> Callable[[_Receipt], tuple[int, int]]:
        """Return what tells how many places a receipt's host has, and how many its connection."""
        hosts = Counter(each.host for each in self._receiving)
        peers = Counter(each.peer for each in self._receiving)
        return lambda each: (hosts[each.host], peers[each.peer])


_in_flight.set_function(lambda: Admission.in_flight)


class Holding:
    """What one call holds, in the context that this is."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.size = 0
        """Bytes."""

    def __enter__(self) -> Self:
        """Have `hold` count here."""
        self._token = _holding.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Count all of it as released."""
        _holding.reset(self._token)
        self._admission.release(self.size)

    def add(self, size: int) -> None:
        """Count more bytes. Raises Overloaded."""
        self._admission.add(size, self.size)
        self.size += size

    def take(self, size: int) -> None:
        """Count bytes that another call held until now."""
        self._admission.add(size, math.inf)
        self.size += size

    def apart(self) -> "Holding":
        """Return what counts by itself, in a task that may outlive this call."""
        return self._admission.holding()


_holding: ContextVar[Holding | None] = ContextVar("holding", default=None)


def hold(size: int) -> None:
    """Count bytes that the current call keeps until it ends, such as a copy of a picture. Raises Overloaded."""
    holding = _holding.get()
    if holding is not None:
        holding.add(size)


def apart() -> Holding | None:
    """Return what a task may hold that outlives the current call; None where nothing is counted."""
    holding = _holding.get()
    return holding and holding.apart()


def _urgency(age: float) -> float:
    return age if age >= _SLOW_SECONDS else -age


def _ending(receipt: _Receipt) -> Overloaded | OutOfTime:
    if receipt.gave_way:
        return Overloaded("The request arrived so slowly that it gave way to others. Try again later.")
    return OutOfTime(f"The request did not arrive within {_RECEIPT_SECONDS:.0f} s.")
