"""Labels from a Keras model behind TensorFlow Serving."""

import asyncio
import itertools

import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.keras.assets import Assets, read_assets
from services.keras.preprocess import Pixels, to_pixels
from services.keras.serving import Prediction, ServedModel
from services.keras.settings import KerasSettings
from services.keras.signature import Signature
from services.runtime.errors import DependencyTimeout, DependencyUnavailable, Misconfigured, NotReady
from services.runtime.images import Image
from services.runtime.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers

logger = structlog.get_logger()
_METADATA_SECONDS = 5.0
_PAUSES = (0.2, 0.4, 0.8, 1.6)


class KerasRecognizer:
    """Returns the label with the highest score if that is above the model's threshold, else no label."""

    name = "keras"
    features: tuple[Feature, ...] = (pb.FEATURE_LABELS,)

    def __init__(self, settings: KerasSettings) -> None:
        self._settings = settings
        self._served = ServedModel(settings.keras_target, settings.keras_model)
        self._workers = Workers(settings.workers, settings.queue)
        self._signature: Signature | None = None
        self._assets: dict[str, Assets] = {}
        self._version = ""

    async def load(self) -> None:
        """Waits for TensorFlow Serving to serve the model. Raises Misconfigured where its labels do not fit."""
        self._signature = await self._wait_for_signature()
        await self._use(self._signature.version, self._signature.classes)

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Fills labels and model."""
        if self._signature is None:
            raise NotReady("The Keras model is not loaded yet.")
        pixels, queued = await self._workers.run(_pixels, image, self._signature.size)
        prediction = await self._served.predict(pixels, self._signature, options.remaining())
        assets = await self._use(prediction.version, len(prediction.scores))
        result = pb.RecognizerResult(model=self._model(), labels=_labels(prediction, assets))
        result.timings.queue.FromNanoseconds(int(queued * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """The version that answered last."""
        return pb.Recognizer(models=[self._model()], evidence_group=self._settings.evidence_group)

    async def close(self) -> None:
        """Closes the connection and ends the threads."""
        await self._served.close()
        self._workers.close()

    async def _wait_for_signature(self) -> Signature:
        pauses = itertools.chain(_PAUSES, itertools.repeat(2.0))
        told = ""
        while True:
            try:
                return await self._served.signature(_METADATA_SECONDS)
            except (DependencyUnavailable, DependencyTimeout) as exc:
                reason = exc.message
            if reason != told:
                logger.warning("waiting for TensorFlow Serving", reason=reason)
            told = reason
            await asyncio.sleep(next(pauses))

    async def _use(self, version: str, classes: int | None) -> Assets:
        assets = self._assets.get(version)
        if assets is None:
            assets = await asyncio.to_thread(read_assets, self._settings.keras_assets, version)
            logger.info("using a model", model=self._settings.keras_model, version=version)
        _check_fit(assets, version, classes)
        self._assets[version] = assets
        self._version = version
        return assets

    def _model(self) -> pb.Model:
        return pb.Model(
            name=self._settings.keras_model, version=self._version, evidence_group=self._settings.evidence_group
        )


def _pixels(image: Image, size: tuple[int, int]) -> Pixels:
    return to_pixels(image.as_stored(), size)


def _labels(prediction: Prediction, assets: Assets) -> list[pb.Label]:
    best = int(prediction.scores.argmax())
    score = float(prediction.scores[best])
    return [pb.Label(name=assets.labels[best], score=score)] if score > assets.threshold else []


def _check_fit(assets: Assets, version: str, classes: int | None) -> None:
    if classes not in {None, len(assets.labels)}:
        raise Misconfigured(
            f"Version {version} of the Keras model gives {classes} scores, but its marquee.json names "
            f"{len(assets.labels)} labels: {', '.join(assets.labels)}."
        )
