"""How much a server takes on at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from services.runtime.errors import Overloaded
from services.runtime.limits import MIB

_in_flight = Gauge("marquee_in_flight_bytes", "Size of the requests of all calls that run.")


class Admission:
    """Keeps the requests in memory within `most` bytes, so that many large pictures do not end the process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """For as long as a call with a request of so many bytes runs. Raises Overloaded."""
        if self._bytes + size > self._most:
            raise Overloaded(
                f"The server holds {self._bytes / MIB:.0f} MiB of requests and at most {self._most / MIB:.0f}. "
                "Try again later."
            )
        self._count(size)
        try:
            yield
        finally:
            self._count(-size)

    def _count(self, size: int) -> None:
        self._bytes += size
        _in_flight.set(self._bytes)
