"""One call's picture on its way to Rekognition: by reference where AWS takes that, else as bytes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from services.rekognition.picture import Picture, prepare
from services.runtime.errors import DomainError
from services.runtime.images.image import Image
from services.runtime.workers import Workers

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import ImageTypeDef

T = TypeVar("T")
_FORMAT = "InvalidImageFormatException"
_REFUSALS = (_FORMAT, "ImageTooLargeException", "InvalidS3ObjectException")


class Source:
    """The picture, made ready in worker threads. One for all operations of a call."""

    def __init__(self, image: Image, workers: Workers) -> None:
        self.image = image
        self.queue_seconds = 0.0
        self._workers = workers
        self._picture: Picture | None = None
        self._fetching = asyncio.Lock()
        self._region = ""
        self._failure: DomainError | None = None

    async def prepare(self) -> None:
        """Checks and, if need be, changes the picture. Raises InvalidImage, Overloaded."""
        self._picture = await self.work(lambda: prepare(self.image))

    @property
    def parameter(self) -> "ImageTypeDef":
        """The parameter `Image` of Rekognition's operations. Only after `prepare`."""
        return self._ready.parameter

    @property
    def warnings(self) -> list[str]:
        """What a person should know of how the picture was changed."""
        fetched = [f"fetched from S3, where Rekognition in {self._region} does not take it"] if self._region else []
        return [*fetched, *self._ready.warnings]

    async def instead_of_reference(self, code: str, region: str) -> bool:
        """Fetches the object if AWS has refused the reference with a code that bytes may help against.

        Returns whether `parameter` now holds bytes, so that asking again makes sense. Raises what
        fetching raises: ObjectNotFound, ObjectForbidden, ImageTooLarge, InvalidImage.
        """
        if code not in _REFUSALS or self.image.s3_object is None:
            return False
        async with self._fetching:  # several operations are refused at the same time
            if self._failure is not None:
                raise self._failure
            if not self._region:
                await self._fetch(refused=code == _FORMAT)
                self._region = region
        return True

    async def work(self, job: Callable[[], T]) -> T:
        """Runs a job on pixels in a worker thread. Raises Overloaded and what the job raises."""
        result, waited = await self._workers.run(job)
        self.queue_seconds += waited
        return result

    async def _fetch(self, *, refused: bool) -> None:
        try:
            self._picture = await self.work(lambda: _fetched(self.image, refused=refused))
        except DomainError as exc:
            self._failure = exc
            raise

    @property
    def _ready(self) -> Picture:
        if self._picture is None:
            raise ValueError("prepare the picture first")
        return self._picture


def _fetched(image: Image, *, refused: bool) -> Picture:
    _ = image.content  # from now on it is read, and goes as bytes
    return prepare(image, refused=refused)
