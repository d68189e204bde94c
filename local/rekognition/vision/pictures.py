"""The pictures of requests: fetched, checked as Amazon checks them, and looked at once."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from threading import Lock
from typing import Any

import numpy as np

from local.rekognition.vision.vision import View, Vision
from local.rekognition.wire import errors
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DomainError, ImageTooLarge, InvalidImage
from services.runtime.images.image import Image, Pixels
from services.runtime.storage.objects import ObjectStore

REMEMBERED = 32
"""Views that are kept, of at most 3 MiB each."""
_LEAST_SIDE = 80
_MOST_SIDE = 10_000


class Pictures:
    """Turns an operation's `Image` into a view. Safe to share between threads."""

    def __init__(self, vision: Vision, store: ObjectStore) -> None:
        self._vision = vision
        self._store = store
        self._lock = Lock()
        self._views: OrderedDict[bytes, Future[View]] = OrderedDict()

    def view(self, image: Mapping[str, Any]) -> View:
        """What is seen in `Bytes` or `S3Object`; equal bytes are looked at once. Blocks; raises AwsError."""
        content = image["Bytes"] if "Bytes" in image else self._fetch(image["S3Object"])
        key = hashlib.sha256(content).digest()
        seen, is_new = self._remembered(key)
        if is_new:
            self._look(content, key, seen)
        return seen.result()

    def _remembered(self, key: bytes) -> tuple["Future[View]", bool]:
        with self._lock:
            is_new = key not in self._views
            seen = self._views.setdefault(key, Future())
            self._views.move_to_end(key)
            while len(self._views) > REMEMBERED:
                self._views.popitem(last=False)
        return seen, is_new

    def _look(self, content: bytes, key: bytes, seen: "Future[View]") -> None:
        try:
            seen.set_result(self._vision.look(content, _checked(_pixels(content))))
        except BaseException as exc:  # noqa: BLE001 - whoever waits for this view gets it
            with self._lock:
                self._views.pop(key, None)
            seen.set_exception(exc)

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


def _checked(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if min(width, height) < _LEAST_SIDE:
        raise errors.invalid_parameter()
    if max(width, height) > _MOST_SIDE:
        raise errors.image_too_large(f"Image dimensions {width} x {height} exceed {_MOST_SIDE} pixels")
    return pixels


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
