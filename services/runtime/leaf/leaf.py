"""A leaf: RecognizerService around one recognizer, and EnrollmentService around its enroller."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import grpc
from google.rpc import code_pb2, status_pb2
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from services.runtime import requests
from services.runtime.doors.caller import current
from services.runtime.doors.door import without_spending
from services.runtime.errors import NotReady, RequiredMissing
from services.runtime.images.image import Image
from services.runtime.leaf.enrollment import EnrollmentLeaf
from services.runtime.leaf.recognizer import Enroller, Options, Recognizer
from services.runtime.limits import limit_of
from services.runtime.requests import FACE_FEATURES
from services.runtime.server import metrics, server
from services.runtime.server.admission import hold
from services.runtime.server.calls import Context
from services.runtime.server.deadline import seconds_left, within
from services.runtime.server.server import ENROLLMENT_SERVICE, RECOGNIZER_SERVICE
from services.runtime.settings import LeafSettings
from services.runtime.storage.s3 import ObjectStore

_MAX_FACE_CANDIDATES = limit_of(pb.Face.DESCRIPTOR, "candidates").entries
_MAX_IMAGE_CANDIDATES = limit_of(pb.RecognizerResult.DESCRIPTOR, "image_candidates").entries


def serve(recognizer: Recognizer, settings: LeafSettings, enroller: Enroller | None = None) -> None:
    """Serve the recognizer and its enroller until SIGTERM, then drain and return."""
    server.run(Leaf(recognizer, settings, enroller), settings)


class Leaf(server.Service, recognizer_pb2_grpc.RecognizerServiceServicer):
    """Servicer of a recognizer: validates requests, and fills in what all responses have in common."""

    def __init__(self, recognizer: Recognizer, settings: LeafSettings, enroller: Enroller | None = None) -> None:
        self.name = recognizer.name
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
        timeout = self._timeout(request, context)
        result = await self._recognize(image, self._options(request, request_id, timeout))
        if request.required and result.outcome == pb.OUTCOME_SKIPPED:
            raise RequiredMissing(f"{self._recognizer.name} {result.status.message}.")
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
        return without_spending(pb.ListRecognizersResponse(recognizers=[entry]), current())

    def _image(self, image: pb.Image) -> Image:
        content = image.content
        hold(len(content))  # protobuf copies it out of the request
        return Image(content or None, image.s3_object, self._store.fetch)

    def _state(self, entry: pb.Recognizer) -> "pb.RecognizerState.ValueType":
        if not self._loaded:
            return pb.RECOGNIZER_STATE_LOADING
        return entry.state or pb.RECOGNIZER_STATE_READY

    def _check(self, request: pb.RecognizeImageRequest) -> None:
        if not self._loaded:
            raise NotReady(f"{self._recognizer.name} is still loading its model. Try again in a moment.")
        requests.check_request(request, self._s3_allowed)
        requests.check_names(request.recognizers, (self._recognizer.name,))
        requests.check_names(request.required, (self._recognizer.name,), "required")
        requests.check_names(tuple(request.recognizer_options), (self._recognizer.name,), "recognizer_options")

    def _timeout(self, request: pb.RecognizeImageRequest, context: Context) -> float:
        overrides = request.recognizer_options.get(self._recognizer.name, pb.RecognizerOptions())
        left = seconds_left(context)
        return min(left, overrides.timeout.ToNanoseconds() / 1e9) if overrides.HasField("timeout") else left

    def _options(self, request: pb.RecognizeImageRequest, request_id: str, timeout: float) -> Options:
        features = requests.features_of(request)
        able = set(self._recognizer.features)
        if request.face_boxes and not self._recognizer.describe().takes_face_boxes:
            able -= FACE_FEATURES
        return Options(
            request_id=request_id,
            features=tuple(feature for feature in features if feature in able),
            max_labels=requests.max_labels_of(request),
            min_score=requests.min_score_of(request, self._recognizer.name),
            collection=request.collection,
            include_embeddings=request.include_embeddings,
            deadline=time.monotonic() + timeout,
            face_boxes=tuple(_copy(box) for box in request.face_boxes),
        )

    async def _recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        if not options.features:
            reason = "supports none of the requested features"
            return skipped_result(self._recognizer.name, f"{reason} with face_boxes" if options.face_boxes else reason)
        begin = time.perf_counter()
        async with within(options.deadline, self._recognizer.name):
            result = await self._recognizer.recognize(image, options)
        return finish(result, self._recognizer.name, options, time.perf_counter() - begin)


def finish(result: pb.RecognizerResult, name: str, options: Options, seconds: float) -> pb.RecognizerResult:
    """Fill in name, outcome, features and time; sort, except for given faces; drop low scores and what is too much."""
    result.recognizer = name
    result.status.SetInParent()
    result.outcome = pb.OUTCOME_PARTIAL if result.feature_errors else pb.OUTCOME_OK
    failed = {error.feature for error in result.feature_errors}
    result.performed_features[:] = [feature for feature in options.features if feature not in failed]
    result.timings.recognizer.FromNanoseconds(int(seconds * 1e9))
    _filter(result, options)
    return result


def skipped_result(name: str, reason: str) -> pb.RecognizerResult:
    """Return the result of a recognizer that supports none of the requested features."""
    return pb.RecognizerResult(
        recognizer=name, outcome=pb.OUTCOME_SKIPPED, status=status_pb2.Status(code=code_pb2.OK, message=reason)
    )


def _copy(box: pb.BoundingBox) -> pb.BoundingBox:
    """Return a box that does not keep the whole request, with the bytes of its picture, in memory."""
    return pb.BoundingBox(left=box.left, top=box.top, width=box.width, height=box.height)


def _filter(result: pb.RecognizerResult, options: Options) -> None:
    requests.drop_low_scores(result, options.min_score)
    if not options.face_boxes:
        result.faces.sort(key=lambda face: (face.box.left, face.box.top))
    for face in result.faces:
        face.candidates.sort(key=_by_score)
        del face.candidates[_MAX_FACE_CANDIDATES:]
    result.image_candidates.sort(key=_by_score)
    del result.image_candidates[_MAX_IMAGE_CANDIDATES:]
    result.labels.sort(key=_by_score)
    del result.labels[options.max_labels :]
    result.moderation_labels.sort(key=_by_score)


def _by_score(item: pb.Candidate | pb.Label | pb.ModerationLabel) -> float:
    return -item.score
