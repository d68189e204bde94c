"""Labels or people from a Keras model behind TensorFlow Serving."""

import asyncio
import itertools
from functools import partial

import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.keras.regions import Cutter, Regions
from services.keras.results import features_of, result_of
from services.keras.serving.client import ServedModel
from services.keras.serving.versions import Version, Versions, batcher_of
from services.keras.settings import KerasSettings
from services.runtime import status
from services.runtime.errors import DependencyTimeout, DependencyUnavailable, DomainError, NotReady
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.server import metrics
from services.runtime.workers import Workers

logger = structlog.get_logger()
_PAUSES = (0.2, 0.4, 0.8, 1.6)
_LAST_PAUSE = 2.0
_SHARE = 0.5
"""Share of the time left that finding faces may take; the rest is for the model."""
_TRANSIENT = (NotReady, DependencyUnavailable, DependencyTimeout)


class KerasRecognizer:
    """Recognizer of labels or people, in the whole picture or in each face, as the model's assets say."""

    name = "keras"

    def __init__(self, settings: KerasSettings) -> None:
        self._settings = settings
        self._served = ServedModel(settings.keras_target, settings.keras_model, settings.keras_version_label)
        batcher = partial(batcher_of, self._served, settings.keras_max_batch, settings.keras_at_once)
        self._cutter = Cutter(settings.smallest_face, turn=settings.turn_pictures)
        self._versions = Versions(self._served, settings.keras_assets, batcher, self._cutter.prepare)
        self._workers = Workers(settings.workers, settings.queue)
        self._polling: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Wait for TensorFlow Serving to serve the model. Raises Misconfigured if it cannot be used."""
        await self._wait_for_model()
        self._polling = asyncio.create_task(self._poll())

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Return labels, faces or image_candidates, with the model and the time in the queue."""
        version = self._version
        try:
            return await self._recognize(version, image, options)
        except NotReady:  # the version may have gone, or the server may have been away for a moment
            return await self._recognize(await self._versions.refresh(version), image, options)

    @property
    def features(self) -> tuple[Feature, ...]:
        """Features of the model."""
        current = self._versions.current
        return features_of(current.assets) if current else (pb.FEATURE_LABELS,)

    def describe(self) -> pb.Recognizer:
        """Return the version in use, and why the last check failed if it did."""
        description = pb.Recognizer(
            models=[self._model(self._version)],
            evidence_group=self._settings.evidence_group,
            smallest_face=self._cutter.smallest_face(self._version.assets),
        )
        if self._versions.problem is not None:
            description.state = pb.RECOGNIZER_STATE_UNAVAILABLE
            description.status.CopyFrom(status.from_exception(self._versions.problem))
        return description

    async def close(self) -> None:
        """Stop polling, close the connection and end the threads."""
        if self._polling:
            self._polling.cancel()
        await self._served.close()
        self._workers.close()

    @property
    def _version(self) -> Version:
        if self._versions.current is None:
            raise NotReady("The Keras model is not loaded yet. Try again in a moment.")
        return self._versions.current

    async def _wait_for_model(self) -> None:
        pauses = itertools.chain(_PAUSES, itertools.repeat(_LAST_PAUSE))
        last_reason = ""
        while True:
            try:
                await self._versions.refresh()
            except _TRANSIENT as exc:
                reason = exc.message
            else:
                return
            if reason != last_reason:
                logger.warning("waiting for TensorFlow Serving", reason=reason)
            last_reason = reason
            await asyncio.sleep(next(pauses))

    async def _poll(self) -> None:
        """Take over newer versions, and keep what `describe` returns up to date."""
        while True:
            await asyncio.sleep(self._settings.keras_poll_seconds)
            current, problem = self._versions.current, self._versions.problem
            try:
                newest = await self._versions.refresh()
            except DomainError as exc:
                if problem is None or problem.message != exc.message:
                    logger.warning("the model is unavailable", error=exc.message)
            else:
                if newest is not current:
                    metrics.show_models({self._settings.keras_model: newest.signature.version})

    async def _recognize(self, version: Version, image: Image, options: Options) -> pb.RecognizerResult:
        regions, queued = await self._workers.run(self._cut, image, version, options)
        scores = await version.scores(regions.inputs, options.remaining())
        result = result_of(scores, regions.faces, version.assets)
        result.warnings.extend(regions.warnings)
        result.model.CopyFrom(self._model(version))
        result.timings.queue.FromNanoseconds(int(queued * 1e9))
        return result

    def _cut(self, image: Image, version: Version, options: Options) -> Regions:
        return self._cutter.cut(image, version.signature, version.assets, options.remaining() * _SHARE)

    def _model(self, version: Version) -> pb.Model:
        return pb.Model(
            name=self._settings.keras_model,
            version=version.signature.version,
            evidence_group=self._settings.evidence_group,
        )
