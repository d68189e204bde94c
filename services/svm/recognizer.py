"""Recognizes people with an SVM that was trained on their faces."""

import asyncio

import cv2
import numpy as np
import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import metrics
from services.runtime.errors import DomainError, NotReady
from services.runtime.images import Image, Pixels
from services.runtime.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers
from services.svm import artifact, model_files
from services.svm.dlib_faces import NETWORK
from services.svm.faces import Face, FaceFinder
from services.svm.memory import trim
from services.svm.model import Model
from services.svm.quality import quality
from services.svm.recipes import RECIPES, Recipe
from services.svm.settings import SvmSettings

logger = structlog.get_logger()
_NOTHING = np.zeros((96, 96, 3), np.uint8)


class SvmRecognizer:
    """Finds faces and names each one that the model knows."""

    name = "svm"
    features: tuple[Feature, ...] = (pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES)

    def __init__(self, settings: SvmSettings) -> None:
        self._settings = settings
        self._workers = Workers(settings.workers, settings.queue)
        self._finder = FaceFinder()
        self._recipes: dict[str, Recipe] = {}
        self._loaded: Model | None = None
        self._mark = ""
        self._watching: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Reads the model and the detectors, and watches the model from then on. Raises Misconfigured."""
        cv2.setNumThreads(1)  # the workers use the cores; OpenCV's own threads would only wait for each other
        self._mark, self._loaded = await asyncio.to_thread(self._read)
        await asyncio.gather(*(self._workers.run(self._finder.find, _NOTHING) for _ in range(self._settings.workers)))
        self._watching = asyncio.create_task(self._watch())

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """All faces, named where CELEBRITIES is asked, with their quality where FACES is."""
        model = self._model
        faces, waited = await self._workers.run(self._recognize, image, options, model)
        result = pb.RecognizerResult(faces=faces, model=self._describe(model))
        result.timings.queue.FromNanoseconds(int(waited * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """The model; the recognizer costs nothing."""
        described = self._describe(self._model)
        return pb.Recognizer(models=[described], evidence_group=described.evidence_group)

    async def close(self) -> None:
        """Stops watching and lets the threads end."""
        if self._watching:
            self._watching.cancel()
        self._workers.close()

    @property
    def _model(self) -> Model:
        if self._loaded is None:
            raise NotReady("svm is still loading its model. Try again in a moment.")
        return self._loaded

    def _describe(self, model: Model) -> pb.Model:
        group = self._settings.evidence_group or (NETWORK if model.name == "embedding" else "")
        return pb.Model(name=model.name, version=model.version, evidence_group=group)

    def _read(self) -> tuple[str, Model]:
        """The model, warm, and what its file looked like just before it was read."""
        source, endpoint = self._settings.svm_model, self._settings.s3_endpoint_url
        mark = model_files.mark(source, endpoint)
        loaded = artifact.load(source, endpoint)
        recipe = self._recipes.setdefault(loaded.recipe, RECIPES[loaded.recipe]())
        model = Model(loaded, recipe)
        model.judge(recipe.views(_NOTHING, Face(0, 0, 96, 96)), model.gallery)
        trim()
        return mark, model

    async def _watch(self) -> None:
        """Takes a changed model over; one that cannot be read leaves the old one in use."""
        while True:
            await asyncio.sleep(self._settings.svm_model_poll_seconds)
            try:
                await self._reload()
            except (DomainError, OSError) as exc:
                logger.warning("model not reloaded", model=self._settings.svm_model, error=str(exc))

    async def _reload(self) -> None:
        source, endpoint = self._settings.svm_model, self._settings.s3_endpoint_url
        if await asyncio.to_thread(model_files.mark, source, endpoint) == self._mark:
            return
        self._mark, model = await asyncio.to_thread(self._read)
        self._loaded = model
        metrics.show_models({model.name: model.version})
        logger.info("model reloaded", model=source, version=model.version)

    def _recognize(self, image: Image, options: Options, model: Model) -> list[pb.Face]:
        pixels = image.upright()
        return [self._face(pixels, face, options, model) for face in self._finder.find(pixels)]

    def _face(self, pixels: Pixels, face: Face, options: Options, model: Model) -> pb.Face:
        height, width = pixels.shape[:2]
        answer = pb.Face(box=_box(face, width, height), detection_score=face.score)
        if pb.FEATURE_CELEBRITIES in options.features:
            views = model.views(pixels, face)
            answer.candidates.extend(model.candidates(views))
            if options.include_embeddings and model.name == "embedding":
                answer.embedding.CopyFrom(pb.Embedding(model=NETWORK, values=views.mean(axis=0)))
        if pb.FEATURE_FACES in options.features:
            answer.quality.CopyFrom(quality(face.crop(pixels)))
        return answer


def _box(face: Face, width: int, height: int) -> pb.BoundingBox:
    return pb.BoundingBox(
        left=face.left / width, top=face.top / height, width=face.width / width, height=face.height / height
    )
