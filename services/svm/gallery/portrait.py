"""The face in a picture that somebody is enrolled from."""

from dataclasses import dataclass

import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.svm.gallery.people import EnrolledFace, Source, face_id_of
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
