"""A picture that somebody is enrolled from, and whether it is good enough."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import FaceBlurred, FaceTooSmall, FaceTurned
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import check_one_face
from services.svm.faces.detector import Face, FaceFinder
from services.svm.faces.quality import quality
from services.svm.model import Model

LEAST_SIDE = 48
"""Pixels. The embedding of a smaller face moves by more than 0.3, half of what separates people."""
LEAST_SHARPNESS = 0.15
"""Blurred below this, it moves as much (bench/svm_portraits.py); faces of the measured photos have 0.26 and more."""
MOST_TURN = 40
"""Degrees aside or up; those photos' faces have up to 30."""


@dataclass(frozen=True)
class Portrait:
    """The one face of a picture."""

    face_id: str
    """The same for the same file."""
    vector: npt.NDArray[np.float64]
    """[128]"""
    box: pb.BoundingBox
    quality: pb.FaceQuality


def portrait(image: Image, finder: FaceFinder, model: Model) -> Portrait:
    """Looks at a picture. Raises UnfitFace with what to do about it, and what the image raises. Blocks."""
    pixels = image.upright()
    faces = finder.find(pixels)
    check_one_face(faces)
    face = faces[0]
    measured = quality(face.crop(pixels))
    measured.pose.CopyFrom(finder.landmarks(pixels, face).pose())
    check_face(face, measured)
    return Portrait(
        face_id=hashlib.sha256(image.content).hexdigest()[:32],
        vector=model.views(pixels, face).mean(axis=0),
        box=face.box_in(pixels),
        quality=measured,
    )


def check_face(face: Face, measured: pb.FaceQuality) -> None:
    """Raises FaceTooSmall, FaceBlurred, FaceTurned."""
    if min(face.width, face.height) < LEAST_SIDE:
        raise FaceTooSmall(
            f"The face is {face.width} pixels wide; it takes {LEAST_SIDE}. Use a larger picture or come closer."
        )
    if measured.sharpness < LEAST_SHARPNESS:
        raise FaceBlurred(
            f"The face is blurred: its sharpness is {measured.sharpness:.2f}; it takes {LEAST_SHARPNESS}. "
            "Use a picture in focus."
        )
    aside, up = measured.pose.yaw, measured.pose.pitch
    if max(abs(aside), abs(up)) > MOST_TURN:
        raise FaceTurned(
            f"The face is turned {aside:.0f} degrees aside and {up:.0f} up; at most {MOST_TURN} will do. "
            "Use a picture in which the person looks into the camera."
        )
