"""Recognition of people with an SVM that was trained on their faces."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.detector import FaceDetector
from services.runtime.images.faces import Detection
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers
from services.svm.faces import gate, quality
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
        """Return all faces: the fit ones named if CELEBRITIES is requested, landmarks and quality if FACES is."""
        model = self.live_model.model
        result, waited = await self.workers.run(self._result, image, options, model)
        result.timings.queue.FromNanoseconds(int(waited * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """Return the model; the recognizer costs nothing."""
        model = self.live_model.model
        described = self.describe_model(model)
        return pb.Recognizer(
            models=[described],
            evidence_group=described.evidence_group,
            can_enroll=self.live_model.can_change,
            smallest_face=self._settings.smallest_face,
            takes_face_boxes=True,
            gives_embeddings=model.network is not None,
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
        detection = self._detection(image, options, model)
        boxes = options.face_boxes or [detection.box(face) for face in detection.faces]
        faces = [pb.Face(box=box, detection_score=one.score) for box, one in zip(boxes, detection.faces, strict=True)]
        result = pb.RecognizerResult(faces=faces, model=self.describe_model(model), warnings=detection.warnings)
        measures = [quality.measure(detection, face) for face in detection.faces]
        fit: list[int] = []
        if pb.FEATURE_CELEBRITIES in options.features:
            fit, warnings = gate.fit_faces(detection.faces, measures, are_given=bool(options.face_boxes))
            result.warnings.extend(warnings)
        _name(result.faces, fit, detection, model, with_embeddings=options.include_embeddings)
        if pb.FEATURE_FACES in options.features:
            for message, face, measured in zip(result.faces, detection.faces, measures, strict=True):
                message.landmarks.extend(quality.landmarks(detection, face))
                message.quality.CopyFrom(measured)
        return result

    def _detection(self, image: Image, options: Options, model: Model) -> Detection:
        """Return the faces, from left to right in the upright picture, or those in the given boxes."""
        pixels = image.upright()
        if options.face_boxes:
            return self.finder.given(pixels, options.face_boxes)
        detection = self.finder.find(pixels, model.detector, options.remaining() * _SHARE)
        return replace(detection, faces=sorted(detection.faces, key=lambda face: _position(detection.box(face))))


def _name(
    faces: Sequence[pb.Face], fit: Sequence[int], detection: Detection, model: Model, *, with_embeddings: bool
) -> None:
    """Add candidates to the fit faces, and embeddings to all if the model has any."""
    network = model.network if with_embeddings else None
    places = range(len(faces)) if network else fit
    views = {place: model.views(detection.pixels, detection.faces[place]) for place in places}
    for place, candidates in zip(fit, model.candidates(np.array([views[place] for place in fit])), strict=True):
        faces[place].candidates.extend(candidates)
    if network:
        for place, own in views.items():
            faces[place].embedding.CopyFrom(_embedding(network, own.mean(axis=0)))


def _embedding(network: Network, vector: Numbers) -> pb.Embedding:
    return pb.Embedding(model=network.id.name, version=network.id.version, metric=network.metric, values=vector)


def _position(box: pb.BoundingBox) -> tuple[float, float]:
    return box.left, box.top
