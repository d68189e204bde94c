"""How good the picture of a face is."""

import cv2

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Pixels

_SIDE = 128
_MIDDLE = 100.0
"""The variance of the Laplacian, at 128x128 pixels, of a face that is half sharp."""


def quality(face: Pixels) -> pb.FaceQuality:
    """Brightness is the mean grey; sharpness grows with the strength of fine detail. An RGB face."""
    grey = cv2.cvtColor(cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    detail = cv2.Laplacian(grey, cv2.CV_32F).var()
    return pb.FaceQuality(sharpness=detail / (detail + _MIDDLE), brightness=grey.mean() / 255)
