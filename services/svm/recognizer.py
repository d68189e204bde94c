"""Recognition of people with an SVM that was trained on their faces."""

import asyncio
from collections.abc import Sequence

import cv2
import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Detection, Face
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers
from services.svm.faces import quality
from services.svm.faces.finder import FaceFinder
from services.svm.live_model import LiveModel
from services.svm.model import Model, Numbers
from services.svm.networks.network import Network
from services.svm.settings import SvmSettings

_BLANK = np.zeros((96, 96, 3), np.uint8)
_SHARE = 0.5
"""Share of the time left that finding faces may take; the rest is for what follows."""


class SvmRecognizer:
    """Recognizer that finds faces and names each one that the model knows."""

    name = "svm"
    features: tuple[Feature, ...] = (pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES)

    def __init__(self, settings: SvmSettings) -> None:
        self._settings = settings
        self.workers = Workers(settings.workers, settings.queue)
        self.finder = FaceFinder(FaceDetector(settings.smallest_face, turn=settings.turn_pictures))
        self.live_model = LiveModel(settings)

    async def load(self) -> None:
        """Read model, gallery and detectors. Raises Misconfigured or DependencyUnavailable."""
        cv2.setNumThreads(1)  # the workers use the cores; OpenCV's own threads would only wait for each other
        await self.live_model.load()
        detector = self.live_model.model.detector
        blank = (self.workers.run(self.finder.find, _BLANK, detector) for _ in range(self._settings.workers))
        await asyncio.gather(*blank)

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Return all faces, named if CELEBRITIES is requested, with landmarks and quality if FACES is."""
        model = self.live_model.model
        result, waited = await self.workers.run(self._result, image, options, model)
        result.timings.queue.FromNanoseconds(int(waited * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """Return the model; the recognizer costs nothing."""
        model = self.describe_model(self.live_model.model)
        return pb.Recognizer(
            models=[model],
            evidence_group=model.evidence_group,
            can_enroll=self.live_model.can_change,
            smallest_face=self._settings.smallest_face,
        )

    async def close(self) -> None:
        """Stop watching files and let the threads end."""
        await self.live_model.close()
        self.workers.close()

    def describe_model(self, model: Model) -> pb.Model:
        """Return the model as results name it."""
        group = self._settings.evidence_group or (model.network.evidence_group if model.network else "")
        return pb.Model(
            name=model.name, version=model.version, evidence_group=group, identify_score=model.identify_score
        )

    def _result(self, image: Image, options: Options, model: Model) -> pb.RecognizerResult:
        pixels = image.upright()
        detection = self.finder.find(pixels, model.detector, options.remaining() * _SHARE)
        messages = [pb.Face(box=detection.box(face), detection_score=face.score) for face in detection.faces]
        if pb.FEATURE_CELEBRITIES in options.features:
            views = np.array([model.views(detection.pixels, face) for face in detection.faces])
            _name(messages, views, model, with_embeddings=options.include_embeddings)
        if pb.FEATURE_FACES in options.features:
            for face, message in zip(detection.faces, messages, strict=True):
                _measure(message, detection, face)
        return pb.RecognizerResult(faces=messages, model=self.describe_model(model), warnings=detection.warnings)


def _measure(message: pb.Face, detection: Detection, face: Face) -> None:
    message.landmarks.extend(quality.landmarks(detection, face))
    message.quality.CopyFrom(quality.measure(detection, face))


def _name(messages: Sequence[pb.Face], views: Numbers, model: Model, *, with_embeddings: bool) -> None:
    """Add candidates to faces with these views [faces, views, length], and embeddings if the model has any."""
    for message, candidates, own in zip(messages, model.candidates(views), views, strict=True):
        message.candidates.extend(candidates)
        if with_embeddings and (network := model.network):
            message.embedding.CopyFrom(_embedding(network, own.mean(axis=0)))


def _embedding(network: Network, vector: Numbers) -> pb.Embedding:
    return pb.Embedding(model=network.id.name, version=network.id.version, metric=network.metric, values=vector)
