"""Receivers of notifications, and libraries that send them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import grpc
import yaml

from marquee.library.v1 import library_pb2
from marquee.library.v1 import notification_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.library.v1.notification_pb2_grpc import NotificationServiceStub
from tests.support.library import library_server
from tests.support.processes import PATIENCE
from tests.support.servers import Scripted, gateway, leaf

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 - of tests alone, as the next one
OTHER_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="  # noqa: S105
LOOPBACK = "127.0.0.0/8,::1/128"
TRIGGERS = {name.removeprefix("NOTIFICATION_TRIGGER_"): value for name, value in pb.NotificationTrigger.items()}


class Posted(NamedTuple):
    """A request that a receiver got."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """What a receiver answers."""

    status: int = 204
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Receiver:
    """An HTTP server that notes what it gets, and answers as `answer` says, which gets the request."""

    def __init__(self, answer: Callable[[Posted], Answer] = lambda _: Answer()) -> None:
        self.posted: list[Posted] = []
        self.answer = answer
        self.url = ""


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Serve the receiver on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            posted = Posted(self.path, headers, body)
            receiver.posted.append(posted)
            answer = receiver.answer(posted)
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


class Clients(NamedTuple):
    """Clients of a library."""

    library: LibraryServiceStub
    notifications: NotificationServiceStub


def write_channels(path: Path, **channels: Mapping[str, Any]) -> None:
    """Write the operator's file."""
    path.write_text(yaml.safe_dump({"channels": {name: dict(one) for name, one in channels.items()}}))


def webhook(receiver: Receiver, **fields: Any) -> dict[str, Any]:
    """Return a channel that posts to the receiver."""
    return {"type": "webhook", "url": f"{receiver.url}/hook", "secrets": [SECRET], **fields}


@asynccontextmanager
async def notifying(
    url: str, folder: Path, recognizer: Scripted | None = None, **settings: Any
) -> AsyncIterator[Clients]:
    """Serve a library with the channels of `folder/channels.yaml`, which may call loopback."""
    own = {"library_channels": folder / "channels.yaml", "library_webhooks_private": LOOPBACK, **settings}
    async with (
        leaf(recognizer or Scripted("svm")) as target,
        gateway({"svm": target}) as address,
        library_server(url, folder / "store", address, **own) as server,
        grpc.aio.insecure_channel(server) as channel,
    ):
        yield Clients(LibraryServiceStub(channel), NotificationServiceStub(channel))


async def rule(clients: Clients, trigger: str, subject: str = "", **fields: Any) -> pb.NotificationRule:
    """Make a rule that tells by the channel `hook`."""
    fields = {"name": f"{trigger} {subject}", "channels": ["hook"], **fields}
    made = pb.NotificationRule(trigger=TRIGGERS[trigger], subject=subject, **fields)
    request = pb.SetNotificationRuleRequest(rule=made)
    return (await clients.notifications.SetNotificationRule(request)).rule


async def deliveries(clients: Clients, state: str = "UNSPECIFIED") -> list[pb.Delivery]:
    """Return the deliveries in the state, oldest first."""
    request = pb.ListDeliveriesRequest(state=pb.DeliveryState.Value(f"DELIVERY_STATE_{state}"))
    return list((await clients.notifications.ListDeliveries(request)).deliveries)[::-1]


async def deliveries_when(
    clients: Clients, condition: Callable[[list[pb.Delivery]], object], state: str = "UNSPECIFIED"
) -> list[pb.Delivery]:
    """Return the deliveries once the condition holds for them."""
    async with asyncio.timeout(PATIENCE):
        while not condition(found := await deliveries(clients, state)):  # noqa: ASYNC110 - the server changes them
            await asyncio.sleep(0.05)
    return found


async def caught_up(clients: Clients, database_rows: Callable[[], Any]) -> None:
    """Return once the feed has read all events that there are now."""
    events = await clients.library.ListEvents(library_pb2.ListEventsRequest(page_size=1000))
    last = events.events[-1].event_id
    async with asyncio.timeout(PATIENCE):
        while (await database_rows())[0][0] < last:  # noqa: ASYNC110 - the server changes it
            await asyncio.sleep(0.05)
