"""Recognizes people with an SVM that was trained on their faces."""

import asyncio

import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import NotReady
from services.runtime.images import Image
from services.runtime.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers
from services.svm import artifact
from services.svm.faces import Face, FaceFinder
from services.svm.model import Model
from services.svm.quality import quality
from services.svm.settings import SvmSettings


class SvmRecognizer:
    """Finds faces and names each one that the model knows."""

    name = "svm"
    features: tuple[Feature, ...] = (pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES)

    def __init__(self, settings: SvmSettings) -> None:
        self._settings = settings
        self._workers = Workers(settings.workers, settings.queue)
        self._finder = FaceFinder()
        self._loaded: Model | None = None

    async def load(self) -> None:
        """Reads the model and the detectors. Raises Misconfigured."""
        loaded, _ = await self._workers.run(artifact.load, self._settings.svm_model)
        await asyncio.gather(*(self._workers.run(self._warm) for _ in range(self._settings.workers)))
        self._loaded = Model(loaded)

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """All faces, named where CELEBRITIES is asked, with their quality where FACES is."""
        model = self._model
        faces, waited = await self._workers.run(self._recognize, image, options.features, model)
        result = pb.RecognizerResult(faces=faces, model=self._describe(model))
        result.timings.queue.FromNanoseconds(int(waited * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """The model; the recognizer costs nothing."""
        return pb.Recognizer(models=[self._describe(self._model)], evidence_group=self._settings.evidence_group)

    async def close(self) -> None:
        """Lets the threads end."""
        self._workers.close()

    @property
    def _model(self) -> Model:
        if self._loaded is None:
            raise NotReady("svm is still loading its model. Try again in a moment.")
        return self._loaded

    def _describe(self, model: Model) -> pb.Model:
        return pb.Model(name=model.name, version=model.version, evidence_group=self._settings.evidence_group)

    def _recognize(self, image: Image, features: tuple[Feature, ...], model: Model) -> list[pb.Face]:
        pixels = image.upright()
        height, width = pixels.shape[:2]
        answer = []
        for face in self._finder.find(pixels):
            crop = face.crop(pixels)
            answer.append(pb.Face(box=_box(face, width, height), detection_score=face.score))
            if pb.FEATURE_CELEBRITIES in features:
                answer[-1].candidates.extend(model.candidates(crop))
            if pb.FEATURE_FACES in features:
                answer[-1].quality.CopyFrom(quality(crop))
        return answer

    def _warm(self) -> None:
        """Loads the detectors into this thread: they look at a picture of nothing."""
        self._finder.find(np.zeros((96, 96, 3), np.uint8))


def _box(face: Face, width: int, height: int) -> pb.BoundingBox:
    return pb.BoundingBox(
        left=face.left / width, top=face.top / height, width=face.width / width, height=face.height / height
    )
