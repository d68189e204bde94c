"""Crops: faces cut out of their pictures."""

import asyncio
import io
from uuid import UUID

from PIL import Image as Pillow

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.people.view import face_of
from services.library.pictures.content import Content
from services.runtime.errors import ContentMissing
from services.runtime.images.image import Image

_SIDE = 512
_QUALITY = 90


class Crops:
    """GetFaceContent."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    async def get(self, request: pb.GetFaceContentRequest) -> pb.GetFaceContentResponse:
        """Return the face. Raises FaceNotFound, ContentMissing, and what the store and S3 raise."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.begin() as connection:
            row = await face_of(connection, collection_id, request.face_id)
        verdict = recognizer_pb2.Verdict.FromString(row.verdict)
        if not verdict.HasField("box"):
            raise ContentMissing("No recognizer says where this face is.", field="face_id")
        content = await self._content.original(UUID(int=row.picture_id.int))
        return pb.GetFaceContentResponse(content=await crop(content, verdict.box, _SIDE), media_type="image/webp")


async def crop(
    content: bytes, box: recognizer_pb2.BoundingBox, size: int, *, margin: float = 0.4, form: str = "WEBP"
) -> bytes:
    """Return the face in the box of a picture as a picture of its own, upright and without metadata.

    It has a margin on each side, in fractions of the box, as far as the picture goes, and at most so many pixels on
    the longer side. Raises InvalidImage and ImageTooLarge.
    """
    return await asyncio.to_thread(_crop, content, box, size, margin, form)


def _crop(content: bytes, box: recognizer_pb2.BoundingBox, size: int, margin: float, form: str) -> bytes:
    picture = Pillow.fromarray(Image(content).upright())
    part = picture.crop(_edges(box, margin, picture.width, picture.height))
    part.thumbnail((size, size), Pillow.Resampling.LANCZOS)
    buffer = io.BytesIO()
    part.save(buffer, form, quality=_QUALITY)
    return buffer.getvalue()


def _edges(box: recognizer_pb2.BoundingBox, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom in pixels; one pixel at least, inside the picture."""
    left, top = max(0.0, box.left - margin * box.width), max(0.0, box.top - margin * box.height)
    right, bottom = box.left + (1 + margin) * box.width, box.top + (1 + margin) * box.height
    x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
    return x, y, max(x + 1, min(width, round(right * width))), max(y + 1, min(height, round(bottom * height)))
