"""Rekognition's operations on what the detectors see and the gallery knows."""

import functools
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from local.rekognition import errors, labels
from local.rekognition.gallery import Gallery
from local.rekognition.vision import View, Vision
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DomainError, ImageTooLarge, InvalidImage
from services.runtime.images import Image, Pixels
from services.runtime.s3 import ObjectStore
from services.svm.dlib_faces import DetectedFace

LABEL_MODEL_VERSION = "local-1"
_LEAST_SIDE = 80
_MOST_SIDE = 10_000


class Operations:
    """RecognizeCelebrities and DetectLabels. They take checked parameters, block and raise AwsError."""

    def __init__(self, vision: Vision, gallery: Gallery, store: ObjectStore) -> None:
        self._vision = vision
        self._gallery = gallery
        self._store = store
        self._lock = threading.Lock()
        self._looked = functools.lru_cache(maxsize=8)(self._look)

    def recognize_celebrities(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Every face: of somebody in the gallery, or unrecognized."""
        view = self._view(request["Image"])
        told = [self._tell(view, face) for face in view.faces]
        return {
            "CelebrityFaces": [one for one in told if "Face" in one],
            "UnrecognizedFaces": [one for one in told if "Face" not in one],
        }

    def detect_labels(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The labels that the request lets through."""
        if "IMAGE_PROPERTIES" in request.get("Features", ()):
            raise errors.invalid_parameter()
        found = labels.labels_of(self._view(request["Image"]))
        return {"Labels": labels.select(found, request), "LabelModelVersion": LABEL_MODEL_VERSION}

    def _tell(self, view: View, face: DetectedFace) -> dict[str, Any]:
        described = dict(self._vision.describe(view, face))
        match = self._gallery.find(self._vision.embed(view, face))
        if match is None:
            return described
        return {
            "Name": match.person.name,
            "Id": match.person.id,
            "MatchConfidence": match.confidence,
            "Urls": [],
            "Face": described,
        }

    def _view(self, image: Mapping[str, Any]) -> View:
        content = image["Bytes"] if "Bytes" in image else self._fetch(image["S3Object"])
        with self._lock:  # two operations on one picture look at it once
            return self._looked(content)

    def _look(self, content: bytes) -> View:
        pixels = _pixels(content)
        height, width = pixels.shape[:2]
        if min(width, height) < _LEAST_SIDE:
            raise errors.invalid_parameter()
        if max(width, height) > _MOST_SIDE:
            raise errors.image_too_large(f"Image dimensions {width} x {height} exceed {_MOST_SIDE} pixels")
        return self._vision.look(pixels)

    def _fetch(self, told: Mapping[str, Any]) -> bytes:
        where = pb.S3Object(bucket=told.get("Bucket", ""), key=told.get("Name", ""), version_id=told.get("Version", ""))
        try:
            return self._store.fetch(where)
        except ImageTooLarge:
            raise errors.image_too_large("Image in S3 exceeds 15 MB") from None
        except InvalidImage:
            raise errors.invalid_image_format() from None
        except DomainError:
            raise errors.invalid_s3_object() from None


def _pixels(content: bytes) -> Pixels:
    image = Image(content)
    try:
        if image.format == "WEBP":
            raise errors.invalid_image_format()
        if image.format == "PNG":
            return np.array(image.as_stored().convert("RGB"))  # as AWS, which heeds EXIF in JPEG alone
        return image.upright()
    except ImageTooLarge as exc:
        raise errors.image_too_large(exc.message) from None
    except InvalidImage:
        raise errors.invalid_image_format() from None
