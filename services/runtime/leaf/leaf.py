"""A leaf: RecognizerService around one recognizer."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import grpc
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from services.runtime import requests
from services.runtime.errors import NotReady
from services.runtime.images.image import Image
from services.runtime.leaf import results
from services.runtime.leaf.enrollment import EnrollmentLeaf
from services.runtime.leaf.recognizer import Enroller, Options, Recognizer
from services.runtime.server import metrics, server
from services.runtime.server.calls import Context, seconds_left, within
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE
from services.runtime.settings import LeafSettings
from services.runtime.storage.s3 import ObjectStore


def serve(recognizer: Recognizer, settings: LeafSettings, enroller: Enroller | None = None) -> None:
    """Serve the recognizer and its enroller until SIGTERM, then drain and return."""
    server.run(Leaf(recognizer, settings, enroller), settings)


class Leaf(server.Service, recognizer_pb2_grpc.RecognizerServiceServicer):
    """Validates requests, runs the recognizer, and fills in what all responses have in common."""

    def __init__(self, recognizer: Recognizer, settings: LeafSettings, enroller: Enroller | None = None) -> None:
        self._recognizer = recognizer
        self._enroller = enroller
        self._s3_allowed = settings.s3_allowed
        self._store = ObjectStore(settings.s3_endpoint_url)
        self._loaded = False

    def register(self, server: grpc.aio.Server) -> Sequence[str]:
        """Add RecognizerService, and EnrollmentService if there is an enroller."""
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(self, server)
        if self._enroller is None:
            return (RECOGNIZER_SERVICE,)
        enrollment = EnrollmentLeaf(self._recognizer.name, self._enroller, self._image, self._s3_allowed)
        enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(enrollment, server)
        return (RECOGNIZER_SERVICE, ENROLLMENT_SERVICE)

    async def load(self) -> None:
        """Load the recognizer."""
        await self._recognizer.load()
        metrics.show_models({model.name: model.version for model in self._recognizer.describe().models})
        self._loaded = True

    async def close(self) -> None:
        """Close the recognizer."""
        await self._recognizer.close()

    def is_ready(self) -> bool:
        """Return whether the recognizer is READY."""
        return self._state(self._recognizer.describe()) == pb.RECOGNIZER_STATE_READY

    async def RecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: Context
    ) -> pb.RecognizeImageResponse:
        """Return this recognizer's result."""
        begin = time.perf_counter()
        request_id = requests.request_id_of(request.request_id)
        bind_contextvars(request_id=request_id, bytes=len(request.image.content))
        self._check(request)
        image = self._image(request.image)
        result = await self._recognize(image, self._options(request, request_id, context))
        bind_contextvars(outcome=pb.Outcome.Name(result.outcome))
        response = pb.RecognizeImageResponse(request_id=request_id, results=[result])
        response.cost_micro_usd = result.cost_micro_usd
        if image.is_read:
            response.image.CopyFrom(image.info if image.is_measured else await asyncio.to_thread(lambda: image.info))
        response.timings.total.FromNanoseconds(int((time.perf_counter() - begin) * 1e9))
        return response

    async def StreamRecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: Context
    ) -> AsyncIterator[pb.RecognizeImageResponse]:
        """Yield the result, then the rest of the response."""
        response = await self.RecognizeImage(request, context)
        yield pb.RecognizeImageResponse(request_id=response.request_id, results=response.results)
        response.ClearField("results")
        yield response

    async def ListRecognizers(  # noqa: N802 - the contract's name
        self, request: pb.ListRecognizersRequest, context: Context
    ) -> pb.ListRecognizersResponse:
        """Return this recognizer."""
        del request, context
        entry = self._recognizer.describe() if self._loaded else pb.Recognizer()
        entry.name = self._recognizer.name
        entry.state = self._state(entry)
        entry.features.extend(self._recognizer.features)
        return pb.ListRecognizersResponse(recognizers=[entry])

    def _image(self, image: pb.Image) -> Image:
        return Image(image.content or None, image.s3_object, self._store.fetch)

    def _state(self, entry: pb.Recognizer) -> "pb.RecognizerState.ValueType":
        if not self._loaded:
            return pb.RECOGNIZER_STATE_LOADING
        return entry.state or pb.RECOGNIZER_STATE_READY

    def _check(self, request: pb.RecognizeImageRequest) -> None:
        if not self._loaded:
            raise NotReady(f"{self._recognizer.name} is still loading its model. Try again in a moment.")
        requests.check_request(request, self._s3_allowed)
        requests.check_names(request.recognizers, (self._recognizer.name,))
        requests.check_names(tuple(request.recognizer_options), (self._recognizer.name,), "recognizer_options")

    def _options(self, request: pb.RecognizeImageRequest, request_id: str, context: Context) -> Options:
        overrides = request.recognizer_options.get(self._recognizer.name, pb.RecognizerOptions())
        features = requests.features_of(request)
        left = seconds_left(context)
        if overrides.HasField("timeout"):
            left = min(left, overrides.timeout.ToNanoseconds() / 1e9)
        return Options(
            request_id=request_id,
            features=tuple(feature for feature in features if feature in self._recognizer.features),
            max_labels=requests.max_labels_of(request),
            min_score=overrides.min_score if overrides.HasField("min_score") else request.min_score,
            collection=request.collection,
            include_embeddings=request.include_embeddings,
            deadline=time.monotonic() + left,
        )

    async def _recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        if not options.features:
            return results.skipped_result(self._recognizer.name, "supports none of the requested features")
        begin = time.perf_counter()
        async with within(options.remaining(), self._recognizer.name):
            result = await self._recognizer.recognize(image, options)
        return results.finish(result, self._recognizer.name, options, time.perf_counter() - begin)
