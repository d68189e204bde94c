"""Labels or people from a Keras model behind TensorFlow Serving."""

import asyncio
import itertools
from functools import partial

import numpy as np
import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.keras import results
from services.keras.regions import Regions, regions_of
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
_PASSING = (NotReady, DependencyUnavailable, DependencyTimeout)


class KerasRecognizer:
    """Says what the model's assets let its scores mean: labels or people, of the picture or of each face."""

    name = "keras"

    def __init__(self, settings: KerasSettings) -> None:
        self._settings = settings
        self._served = ServedModel(settings.keras_target, settings.keras_model, settings.keras_version_label)
        batcher = partial(batcher_of, self._served, settings.keras_max_batch, settings.keras_at_once)
        self._versions = Versions(self._served, settings.keras_assets, batcher)
        self._workers = Workers(settings.workers, settings.queue)
        self._watching: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Waits for TensorFlow Serving to serve the model. Raises Misconfigured where it cannot be used."""
        await self._first_look()
        self._watching = asyncio.create_task(self._watch())

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Fills labels, faces or image_candidates, and model."""
        version = self._version
        try:
            return await self._recognize(version, image, options)
        except NotReady:  # the version may have gone, or the server have been away for a moment
            return await self._recognize(await self._versions.look(version), image, options)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the model does."""
        current = self._versions.current
        return results.features_of(current.assets) if current else (pb.FEATURE_LABELS,)

    def describe(self) -> pb.Recognizer:
        """The version in use, and whether it could be asked when it was last looked at."""
        described = pb.Recognizer(models=[self._model(self._version)], evidence_group=self._settings.evidence_group)
        if self._versions.problem is not None:
            described.state = pb.RECOGNIZER_STATE_UNAVAILABLE
            described.status.CopyFrom(status.from_exception(self._versions.problem))
        return described

    async def close(self) -> None:
        """Stops looking, closes the connection and ends the threads."""
        if self._watching:
            self._watching.cancel()
        await self._served.close()
        self._workers.close()

    @property
    def _version(self) -> Version:
        if self._versions.current is None:
            raise NotReady("The Keras model is not loaded yet. Try again in a moment.")
        return self._versions.current

    async def _first_look(self) -> None:
        pauses = itertools.chain(_PAUSES, itertools.repeat(2.0))
        told = ""
        while True:
            try:
                await self._versions.look()
            except _PASSING as exc:
                reason = exc.message
            else:
                return
            if reason != told:
                logger.warning("waiting for TensorFlow Serving", reason=reason)
            told = reason
            await asyncio.sleep(next(pauses))

    async def _watch(self) -> None:
        """Takes newer versions over, and keeps what `describe` says true."""
        while True:
            await asyncio.sleep(self._settings.keras_poll_seconds)
            before, problem = self._versions.current, self._versions.problem
            try:
                now = await self._versions.look()
            except DomainError as exc:
                if problem is None or problem.message != exc.message:
                    logger.warning("the model cannot be asked", error=exc.message)
            else:
                if now is not before:
                    metrics.show_models({self._settings.keras_model: now.signature.version})

    async def _recognize(self, version: Version, image: Image, options: Options) -> pb.RecognizerResult:
        regions, queued = await self._workers.run(regions_of, image, version.signature, version.assets)
        result = await _ask(version, regions, options.remaining())
        result.model.CopyFrom(self._model(version))
        result.timings.queue.FromNanoseconds(int(queued * 1e9))
        return result

    def _model(self, version: Version) -> pb.Model:
        return pb.Model(
            name=self._settings.keras_model,
            version=version.signature.version,
            evidence_group=self._settings.evidence_group,
        )


async def _ask(version: Version, regions: Regions, seconds: float) -> pb.RecognizerResult:
    if regions.boxes is None:
        return results.of_image((await version.scores(regions.inputs, seconds))[0], version.assets)
    nobody = np.empty((0, len(version.assets.labels)), np.float32)
    scores = await version.scores(regions.inputs, seconds) if regions.boxes else nobody
    return results.of_faces(scores, regions.boxes, version.assets)
