"""The gateway: calls all recognizers at once and fuses their results. It never decodes a picture."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends import answer
from services.gateway.backends.backend import LIST_RECOGNIZERS, Backend, count, hops_of
from services.gateway.backends.connection import Credentials, read_credentials
from services.gateway.cache.cache import Cache
from services.gateway.config import GatewayConfig, load_config
from services.gateway.enrollment import EnrollmentGateway
from services.gateway.fusion.calibration import Calibration, Table, read_table
from services.gateway.fusion.verdict import Rules
from services.gateway.plan import plan_recognition
from services.gateway.policy.course import POLICIES
from services.gateway.recognition import Recognition, recall
from services.gateway.reserve import Reserve
from services.gateway.settings import GatewaySettings
from services.runtime import requests
from services.runtime.doors.caller import current
from services.runtime.doors.door import without_spending
from services.runtime.doors.watch import Watched
from services.runtime.messages.envelope import Envelope, takes_envelope
from services.runtime.server.bulkhead import Bulkhead
from services.runtime.server.calls import Context, is_poll, metadata
from services.runtime.server.deadline import deadline, seconds_left
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE, Service
from services.runtime.status import StatusError

_LIST_SECONDS = 2.0
_ALL_CALLS = "all calls"
"""As metrics name the bulkhead of the whole gateway; no recognizer's name has a blank."""
_NO_RETRIES = (("grpc-retry-pushback-ms", "-1"),)
"""What gRPC's clients take for: whatever your service config says, do not try again."""


class Gateway(Service, recognizer_pb2_grpc.RecognizerServiceServicer):
    """RecognizerService, implemented by calling the servers that the configuration names.

    Of a file the latest version counts. Raises ConfigError.
    """

    def __init__(self, config: GatewayConfig | Path, settings: GatewaySettings) -> None:
        self.name = settings.gateway_name
        self._s3_allowed = settings.s3_allowed
        self._file: Watched[GatewayConfig] | None = None
        if isinstance(config, Path):
            self._file = Watched("configuration", [config], partial(load_config, config), self._connect)
            config = self._file.value
        self._config = config
        self._table: Watched[Table] | None = None
        self._made: tuple[GatewayConfig, Table | None, Rules] | None = None
        """The rules that were made last, and what of."""
        self._cache = Cache()
        self._credentials: Credentials = {}
        self._backends: dict[str, Backend] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self.bulkhead: Bulkhead = Bulkhead(_ALL_CALLS)
        self._number = 0
        """How often the configuration or the table was another one."""
        self._reserve = Reserve()

    def register(self, server: grpc.aio.Server) -> Sequence[str]:
        """Add both services."""
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(self, server)
        enrollment = EnrollmentGateway(self.name, self._backends, self._s3_allowed, self._reserve)
        enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(enrollment, server)
        return (RECOGNIZER_SERVICE, ENROLLMENT_SERVICE)

    async def load(self) -> None:
        """Open a channel to every recognizer, but wait for none: one that is away must not stop the others."""
        self._connect(self._config)

    def files(self) -> Sequence[Watched[Any]]:
        """Return the configuration, the table of calibration, and what the connections are made of."""
        return (*(one for one in (self._file, self._table) if one), *self._credentials.values())

    async def close(self) -> None:
        """Close the connections."""
        self._cache.close()
        self._retire(self._backends.values())
        await asyncio.gather(*self._retiring)

    def _connect(self, config: GatewayConfig) -> None:
        """Call these recognizers from now on; calls in flight end where they are. Raises ValueError and OSError."""
        self._table = self._table_of(config)
        self._credentials = read_credentials(config, self._credentials)
        self.bulkhead.limit = config.places
        self._cache.resize(config.cache.mib, config.cache.ttl, config.recognizers)
        known = self._backends
        backends = {
            name: known[name] if name in known and known[name].config == one else Backend(name, one, self._credentials)
            for name, one in config.recognizers.items()
        }
        retired = [backend for name, backend in known.items() if backends.get(name) is not backend]
        added = [backend for name, backend in backends.items() if known.get(name) is not backend]
        known.clear()  # and filled again: both services plan their calls with this very dict
        known.update(backends)
        for backend in added:
            backend.watch()
        self._config = config
        self._retire(retired)

    def _table_of(self, config: GatewayConfig) -> Watched[Table] | None:
        """Return the table that the configuration names, if it names one. Raises ValueError and OSError."""
        before, now = self._config.calibration, config.calibration
        if now is None:
            return None
        if self._table is not None and before is not None and before.table == now.table:
            return self._table
        return Watched("calibration", [now.table], partial(read_table, now.table))

    def _rules(self) -> tuple[Rules, int]:
        """Return what holds for verdicts now, and its number: a table that was read again counts from now on."""
        config, table = self._config, self._table.value if self._table else None
        if self._made is None or self._made[0] is not config or self._made[1] is not table:
            self._made = config, table, _rules_of(config, table)
            self._number += 1
        return self._made[2], self._number

    def _retire(self, backends: Iterable[Backend]) -> None:
        for backend in backends:
            retiring = asyncio.get_running_loop().create_task(backend.close())
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    @takes_envelope
    async def RecognizeImage(  # noqa: N802 - the contract's name
        self, envelope: Envelope[pb.RecognizeImageRequest], context: Context
    ) -> pb.RecognizeImageResponse:
        """Return the results of all recognizers."""
        self._check(envelope)
        key = self._key(envelope)
        if key is not None and (kept := self._cache.recall(key, self._backends.values())) is not None:
            return recall(kept, envelope.request)
        recognition = self._recognition(envelope)
        del envelope  # the calls have the pictures
        async with aclosing(recognition.responses()) as stream:
            async for _ in stream:
                pass
        with _final(recognition, context):
            response = await recognition.finish()
        self._reserve.observe(recognition.seconds_since)
        if key is not None and (parts := recognition.parts()):
            self._cache.remember(key, response, parts)
        return response

    @takes_envelope
    async def StreamRecognizeImage(  # noqa: N802 - the contract's name
        self, envelope: Envelope[pb.RecognizeImageRequest], context: Context
    ) -> AsyncIterator[pb.RecognizeImageResponse]:
        """Yield each result as soon as it arrives, then the rest of the response."""
        self._check(envelope)
        recognition = self._recognition(envelope)
        request_id = envelope.request.request_id
        del envelope  # the calls have the pictures
        async with aclosing(recognition.responses()) as stream:
            async for response in stream:
                for result in recognition.shown(response.results):
                    yield pb.RecognizeImageResponse(request_id=request_id, results=[result])
        with _final(recognition, context):
            last = await recognition.finish()
        last.ClearField("results")
        yield last

    async def ListRecognizers(  # noqa: N802 - the contract's name
        self, request: pb.ListRecognizersRequest, context: Context
    ) -> pb.ListRecognizersResponse:
        """List all recognizers, and those behind each that is a gateway."""
        if is_poll():
            return self._told()
        message, hops = request.SerializeToString(), hops_of(metadata())
        timeout = min(_LIST_SECONDS, seconds_left(context) * 0.8)
        calls = (backend.call(LIST_RECOGNIZERS, message, timeout, hops) for backend in self._backends.values())
        responses = await asyncio.gather(*calls)
        recognizers = [one for response in responses for one in response.recognizers]
        answer.make_room(recognizers)
        for one in recognizers:
            if one.state == pb.RECOGNIZER_STATE_UNAVAILABLE:
                count(one.name, pb.OUTCOME_ERROR, one.status)
        withheld = any(response.spending_withheld for response in responses)
        listed = pb.ListRecognizersResponse(recognizers=recognizers, gateway=self.name, spending_withheld=withheld)
        return without_spending(listed, current())

    def _told(self) -> pb.ListRecognizersResponse:
        """Return what the recognizers have told last, for a gateway that asks twice a second."""
        away = pb.RECOGNIZER_STATE_UNAVAILABLE
        told = [
            backend.told.recognizers or [pb.Recognizer(name=name, state=away)]
            for name, backend in self._backends.items()
        ]
        recognizers = [one for several in told for one in several]
        return pb.ListRecognizersResponse(recognizers=recognizers, gateway=self.name)

    def _check(self, envelope: Envelope[pb.RecognizeImageRequest]) -> None:
        request, sizes = envelope.request, envelope.sizes
        request.request_id = requests.request_id_of(request.request_id)
        bind_contextvars(request_id=request.request_id, bytes=sum(sizes))
        requests.check_request(request, self._s3_allowed, POLICIES, sizes=sizes)

    def _key(self, envelope: Envelope[pb.RecognizeImageRequest]) -> bytes | None:
        """Return the key of the response in the cache, by the rules of the moment; None if it must not be kept."""
        keys = self._cache.keys(envelope.request, *envelope.pictures)
        return keys.of_response(envelope.request, self._rules()[1]) if keys else None

    def _recognition(self, envelope: Envelope[pb.RecognizeImageRequest]) -> Recognition:
        end = deadline()
        end -= self._reserve.of(max(0.0, end - time.monotonic()))
        plan = plan_recognition(envelope, self._backends, hops_of(metadata()), self._config.veto, self._cache)
        return Recognition(self.name, envelope.request, plan, self._rules()[0], end)


def _rules_of(config: GatewayConfig, table: Table | None) -> Rules:
    calibration = None
    if config.calibration is not None and table is not None:
        calibration = Calibration(table, config.calibration.prior_unknown, config.calibration.threshold)
    return Rules(calibration, config.repeated_people, config.confident_score, config.confident_scores)


@contextmanager
def _final(recognition: Recognition, context: Context) -> Iterator[None]:
    """Keep clients from trying a call again that failed although it may have been billed."""
    try:
        yield
    except StatusError:
        if recognition.may_be_billed:
            context.set_trailing_metadata(_NO_RETRIES)
        raise
