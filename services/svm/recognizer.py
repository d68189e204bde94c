"""Recognizes people with an SVM that was trained on their faces."""

import asyncio

import cv2
import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Image, Pixels
from services.runtime.leaf.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers
from services.svm.faces.detector import Face, FaceFinder
from services.svm.faces.dlib_faces import NETWORK
from services.svm.faces.quality import quality
from services.svm.live_model import CurrentModel
from services.svm.model import Model
from services.svm.settings import SvmSettings

_NOTHING = np.zeros((96, 96, 3), np.uint8)


class SvmRecognizer:
    """Finds faces and names each one that the model knows."""

    name = "svm"
    features: tuple[Feature, ...] = (pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES)

    def __init__(self, settings: SvmSettings) -> None:
        self._settings = settings
        self.workers = Workers(settings.workers, settings.queue)
        self.finder = FaceFinder()
        self.current = CurrentModel(settings)

    async def load(self) -> None:
        """Reads model, gallery and detectors. Raises Misconfigured, DependencyUnavailable."""
        cv2.setNumThreads(1)  # the workers use the cores; OpenCV's own threads would only wait for each other
        await self.current.load()
        await asyncio.gather(*(self.workers.run(self.finder.find, _NOTHING) for _ in range(self._settings.workers)))

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """All faces, named where CELEBRITIES is asked, with points and quality where FACES is."""
        model = self.current.model
        faces, waited = await self.workers.run(self._recognize, image, options, model)
        result = pb.RecognizerResult(faces=faces, model=self.describe_model(model))
        result.timings.queue.FromNanoseconds(int(waited * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """The model; the recognizer costs nothing."""
        described = self.describe_model(self.current.model)
        can_enroll = self.current.can_change
        return pb.Recognizer(models=[described], evidence_group=described.evidence_group, can_enroll=can_enroll)

    async def close(self) -> None:
        """Stops watching and lets the threads end."""
        await self.current.close()
        self.workers.close()

    def describe_model(self, model: Model) -> pb.Model:
        """As results name it."""
        group = self._settings.evidence_group or (NETWORK if model.name == "embedding" else "")
        return pb.Model(name=model.name, version=model.version, evidence_group=group)

    def _recognize(self, image: Image, options: Options, model: Model) -> list[pb.Face]:
        pixels = image.upright()
        return [self._face(pixels, face, options, model) for face in self.finder.find(pixels)]

    def _face(self, pixels: Pixels, face: Face, options: Options, model: Model) -> pb.Face:
        answer = pb.Face(box=face.box_in(pixels), detection_score=face.score)
        if pb.FEATURE_CELEBRITIES in options.features:
            views = model.views(pixels, face)
            answer.candidates.extend(model.candidates(views))
            if options.include_embeddings and model.name == "embedding":
                answer.embedding.CopyFrom(pb.Embedding(model=NETWORK, values=views.mean(axis=0)))
        if pb.FEATURE_FACES in options.features:
            landmarks = self.finder.landmarks(pixels, face)
            answer.landmarks.extend(landmarks.messages(pixels.shape[1], pixels.shape[0]))
            answer.quality.CopyFrom(quality(face.crop(pixels)))
            answer.quality.pose.CopyFrom(landmarks.pose())
        return answer
