"""The comparison of two pictures' faces, which go to Rekognition as the recognizer's pictures do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.picture import Picture
from services.rekognition.request import Request
from services.runtime.errors import InvalidImage, NoFace
from services.runtime.images.image import Image
from services.runtime.storage.s3 import ObjectStore, S3Url, is_s3
from services.runtime.workers import Workers

_MIN_SIDE = 80
"""Pixels, of any picture for Rekognition."""


class Comparison:
    """The largest face of `source` beside the faces of `target`; each is a path or s3://BUCKET/KEY."""

    def __init__(self, request: Request, source: str, target: str, store: ObjectStore) -> None:
        """Read the files; objects stay where they are. Raises OSError, ImageTooLarge, InvalidRequest."""
        self._request = request
        self._workers = Workers(2, 2)
        self._pictures = {
            "SourceImage": _Named(source, Picture(_image(source, store), self._workers)),
            "TargetImage": _Named(target, Picture(_image(target, store), self._workers)),
        }

    async def run(self, similarity: float) -> Mapping[str, Any]:
        """Return CompareFaces' response; `similarity` is 0 to 100.

        Raises DomainErrors; one about a picture names it.
        """
        for one in self._pictures.values():
            with one.named():
                await one.picture.prepare()
        pictures = {parameter: one.picture for parameter, one in self._pictures.items()}
        try:
            return await self._request.ask(
                "CompareFaces", "FaceMatches", pictures=pictures, SimilarityThreshold=similarity
            )
        except InvalidImage as exc:  # AWS says neither which of the two it means, nor always why
            await self._check()
            names = " or ".join(one.name for one in self._pictures.values())
            raise InvalidImage(f"{names}: {exc.message}") from exc
        finally:
            self._workers.close()

    @property
    def warnings(self) -> list[str]:
        """How the pictures were changed, for people."""
        return [f"{one.name}: {warning}" for one in self._pictures.values() for warning in one.picture.warnings]

    async def _check(self) -> None:
        """Raise what is wrong with a picture: what is free to see first, then a missing face, by a DetectFaces each."""
        for one in self._pictures.values():
            with one.named():
                await one.picture.work(partial(_check_size, one.picture.image))
        for one in self._pictures.values():
            with one.named():
                detection = await self._request.ask("DetectFaces", "FaceDetails", one.picture)
                if not detection["FaceDetails"]:
                    raise NoFace("Rekognition finds no face in it.")


class _Named:
    """A picture and where it is."""

    def __init__(self, name: str, picture: Picture) -> None:
        self.name = name
        self.picture = picture

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the picture in errors about it."""
        try:
            yield
        except InvalidImage as exc:
            raise type(exc)(f"{self.name}: {exc.message}") from exc


def _image(location: str, store: ObjectStore) -> Image:
    if not is_s3(location):
        return Image(Path(location).read_bytes())
    url = S3Url.parse(location)
    return Image(None, pb.S3Object(bucket=url.bucket, key=url.key), store.fetch)


def _check_size(image: Image) -> None:
    image.verify()
    width, height = image.size
    if min(width, height) < _MIN_SIDE:
        raise InvalidImage(f"It has {width}x{height} pixels; Rekognition accepts {_MIN_SIDE} or more a side.")
