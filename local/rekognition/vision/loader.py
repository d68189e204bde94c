"""The pictures of requests: fetched, checked as Amazon checks them, and viewed once."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from threading import Lock
from typing import Any

import numpy as np

from local.rekognition.vision.view import View, Vision
from local.rekognition.wire import errors
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DomainError, ImageTooLarge, InvalidImage
from services.runtime.images.image import Image, Pixels, eight_bit
from services.runtime.storage.s3 import ObjectStore

_log = logging.getLogger(__name__)
MAX_VIEWS = 16
"""Number of views kept, of at most 3 MiB each: more than the pictures whose operations arrive together."""
_MIN_SIDE = 80
_MAX_SIDE = 10_000


class ImageLoader:
    """Loader of views from the `Image` of operations. Safe to share between threads."""

    def __init__(self, vision: Vision, store: ObjectStore) -> None:
        self._vision = vision
        self._store = store
        self._lock = Lock()
        self._views: OrderedDict[str, Future[View]] = OrderedDict()

    def view(self, image: Mapping[str, Any]) -> View:
        """Return the view of `Bytes` or `S3Object`; equal bytes are viewed once. Blocks; raises AwsError."""
        content = image["Bytes"] if "Bytes" in image else self._fetch(image["S3Object"])
        key = hashlib.sha256(content).hexdigest()
        view, is_new = self._slot(key)
        if is_new:
            self._fill(view, key, content)
        return view.result()

    def _slot(self, key: str) -> tuple["Future[View]", bool]:
        with self._lock:
            is_new = key not in self._views
            view = self._views.setdefault(key, Future())
            self._views.move_to_end(key)
            while len(self._views) > MAX_VIEWS:
                self._views.popitem(last=False)
        return view, is_new

    def _fill(self, view: "Future[View]", key: str, content: bytes) -> None:
        try:
            with self._vision.cores:
                view.set_result(self._vision.view(_check(_decode(content)), key))
        except BaseException as exc:  # noqa: BLE001 - whoever waits for this view gets it
            with self._lock:
                self._views.pop(key, None)
            view.set_exception(exc)

    def _fetch(self, s3_object: Mapping[str, Any]) -> bytes:
        members = {"bucket": "Bucket", "key": "Name", "version_id": "Version"}
        try:
            return self._store.fetch(pb.S3Object(**{field: s3_object.get(name, "") for field, name in members.items()}))
        except ImageTooLarge:
            raise errors.image_too_large("Image in S3 exceeds 15 MB") from None
        except InvalidImage:
            raise errors.invalid_image_format() from None
        except DomainError as exc:
            _log.warning("InvalidS3ObjectException: %s", exc.message)
            raise errors.invalid_s3_object(exc.message) from None


def _check(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if min(width, height) < _MIN_SIDE:
        raise errors.invalid_parameter()
    if max(width, height) > _MAX_SIDE:
        raise errors.image_too_large(f"Image dimensions {width} x {height} exceed {_MAX_SIDE} pixels")
    return pixels


def _decode(content: bytes) -> Pixels:
    image = Image(content)
    try:
        if image.format == "WEBP":
            raise errors.invalid_image_format()
        if image.format == "PNG":
            # AWS, too, ignores the EXIF orientation of a PNG.
            return np.array(eight_bit(image.as_stored()).convert("RGB"))
        return image.upright()
    except ImageTooLarge as exc:
        raise errors.image_too_large(exc.message) from None
    except InvalidImage:
        raise errors.invalid_image_format() from None
