"""Connections: uvicorn's HTTP/1.1, with bounds for what a client begins and does not finish."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import h11
from prometheus_client import Counter as Metric
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

_FREE_PIECES = 1000
_MEAN_PIECE_BYTES = 64
_FRAMINGS = frozenset({b"content-length", b"transfer-encoding"})
_URL = re.compile(rb"https?://(?P<host>[^/?]+)(?P<path>[^?]*)(?P<query>.*)", re.IGNORECASE)
_malformed = Metric("marquee_http_malformed_requests", "Total requests that are no HTTP/1.1.")


class Connection(H11Protocol):
    """A connection."""

    most = 2048
    """Connections at once. Past that, one of the address with most ends: the one that has waited longest."""
    head_seconds = 10.0
    """Time for the head of a request."""
    stall_seconds = 30.0
    """Time in which a client has to read something of a response."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Exchange(h11.SERVER, self.config.h11_max_incomplete_event_size or 16 * 1024)
        self._head = _Timer(self.head_seconds, self._abort)
        self._stall = _Timer(self.stall_seconds, self._abort)
        self.waiting_since = self.loop.time()
        """When it began to wait for a request, on the event loop's clock."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.client = self.client and (_plain(self.client[0]), self.client[1])
        self._head.start()
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Go on with a request, and begin or end the time for its head."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self.waiting_since = self.loop.time()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the times."""
        self._head.stop()
        self._stall.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the client some time to read."""
        super().pause_writing()
        self._stall.start()

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        super().resume_writing()
        self._stall.stop()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, even if the client does not read what is left."""
        super().timeout_keep_alive_handler()
        self._stall.start()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP/1.1, unless another answer has begun."""
        _malformed.inc()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._head.stop()
        elif self.conn.trailing_data[0]:
            self._head.start()

    def _abort(self) -> None:
        self.transport.abort()

    def _make_room(self) -> None:
        connections = [each for each in self.connections if isinstance(each, Connection)]
        counts = Counter(map(_host, connections))
        last = min(connections, key=lambda each: (-counts[_host(each)], not each.is_waiting, each.waiting_since))
        self.connections.discard(last)
        last.transport.abort()


class _Exchange(h11.Connection):
    """HTTP/1.1's parser, which refuses bodies in tiny pieces: each costs time, during which nobody else is served.

    It refuses those with two lengths, too, of which a proxy in front may believe the other. A target that is a whole
    URL, as proxies get them, names the host in place of the header Host (RFC 9112, 3.2.2).
    """

    _pieces = 0
    _bytes = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            if {name for name, _ in event.headers} >= _FRAMINGS:
                raise h11.RemoteProtocolError("The body has two lengths.")
            self._pieces = self._bytes = 0
            event = _in_origin_form(event)
        elif isinstance(event, h11.Data):
            self._pieces += 1
            self._bytes += len(event.data)
            if self._pieces > _FREE_PIECES and self._bytes < self._pieces * _MEAN_PIECE_BYTES:
                raise h11.RemoteProtocolError("The body comes in too many pieces.")
        return event


def _plain(host: str) -> str:
    """Return the address; one of IPv4 that comes in as of IPv6, where both are listened on, as what it is."""
    return host.removeprefix("::ffff:") if "." in host else host


def _in_origin_form(request: h11.Request) -> h11.Request:
    """Return the request with a path for its target, and with the host of the URL if it was one."""
    url = _URL.fullmatch(request.target)
    if url is None:
        return request
    path = url["path"] or (b"*" if request.method == b"OPTIONS" and not url["query"] else b"/")
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=path + url["query"],
        headers=[(b"host", url["host"]), *headers],
        http_version=request.http_version,
    )


def _host(connection: Connection) -> str:
    return connection.client[0] if connection.client else ""


class _Timer:
    """A timer that is started and stopped often."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds = seconds
        self._action = action
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to count, if it does not."""
        self._handle = self._handle or asyncio.get_running_loop().call_later(self._seconds, self._action)

    def stop(self) -> None:
        """Count no further."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
