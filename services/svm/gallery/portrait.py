"""The face in a picture that somebody is enrolled from."""

import hashlib
from dataclasses import dataclass

import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import check_one_face
from services.svm.faces import gate, quality
from services.svm.faces.finder import FaceFinder
from services.svm.gallery.people import EnrolledFace, Source, face_id_of
from services.svm.model import Model
from services.svm.networks.network import Vector


@dataclass(frozen=True)
class Portrait:
    """The one face of a picture."""

    content_sha256: str
    """Of the picture."""
    source: Source | None
    detector: str
    vector: Vector
    """[length]"""
    box: pb.BoundingBox
    quality: pb.FaceQuality

    @property
    def face_id(self) -> str:
        """The same for the same file."""
        return face_id_of(self.content_sha256)

    def enrolled(self, now: str) -> EnrolledFace:
        """Return the face as enrolled at this time, in ISO 8601."""
        return EnrolledFace(self.face_id, self.content_sha256, self.source, now, self.detector)

    def distance(self, other: "Portrait") -> float:
        """Return the distance (L2) between the two faces."""
        return float(np.linalg.norm(self.vector - other.vector))


def portrait_of(image: Image, finder: FaceFinder, model: Model) -> Portrait:
    """Find and measure the picture's face. Raises UnfitFace with what to do about it, and what the image raises."""
    detection = finder.find(image.upright(), model.detector)
    check_one_face(detection.faces)
    (face,) = detection.faces
    measures = quality.measure(detection, face)
    gate.check_face(face, measures)
    return Portrait(
        content_sha256=hashlib.sha256(image.content).hexdigest(),
        source=_source(image.s3_object),
        detector=face.detector,
        vector=model.views(detection.pixels, face).mean(axis=0),
        box=detection.box(face),
        quality=measures,
    )


def _source(s3_object: pb.S3Object | None) -> Source | None:
    if s3_object is None or not s3_object.bucket:
        return None
    return Source(s3_object.bucket, s3_object.key, s3_object.version_id)
