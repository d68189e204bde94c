"""Faces cut out of their pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marquee.library.v1 import people_pb2 as pb
from marquee.v1.recognizer_pb2 import BoundingBox
from services.library.faces.crops import crop
from tests.support.library import added, ended, refused
from tests.support.library_people import library_of
from tests.support.servers import LEFT, Scripted, face, picture, result


def drawn(width: int = 400, height: int = 200, orientation: int = 1) -> bytes:
    """Return a picture that is white but for a red part: columns 100 to 199, rows 50 to 149, as it is stored."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[50:150, 100:200] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


async def test_a_face_has_a_margin() -> None:
    """The face is in the middle, with a margin around it, and nothing of the file's metadata."""
    there = BoundingBox(left=0.25, top=0.25, width=0.25, height=0.5)
    cut = opened(await crop(drawn(), there, 512, margin=0.2, form="PNG"))
    assert (cut.size, dict(cut.getexif())) == ((140, 140), {})
    red = np.asarray(cut)[:, :, 1] == 0
    assert (np.argwhere(red).min(0).tolist(), np.argwhere(red).max(0).tolist()) == ([20, 20], [119, 119])


async def test_a_face_is_upright_and_fits() -> None:
    """Boxes are of the upright picture; the longer side has as many pixels as are asked for."""
    upright = BoundingBox(left=0.25, top=0.25, width=0.5, height=0.25)
    cut = opened(await crop(drawn(orientation=6), upright, 50, margin=0, form="PNG"))
    assert cut.size == (50, 50)
    assert np.asarray(cut)[5:-5, 5:-5, 1].max() == 0


@pytest.mark.parametrize(
    "there", [(0, 0, 1, 1), (0.9, 0.9, 0.1, 0.1), (0, 0, 1e-6, 1e-6), (1, 1, 0, 0)], ids=["all", "corner", "dot", "end"]
)
async def test_a_face_at_the_edge_is_cut_there(there: tuple[float, float, float, float]) -> None:
    """A box that reaches the picture's edge, or is smaller than a pixel, yields what there is of it."""
    left, top, width, height = there
    cut = opened(await crop(drawn(), BoundingBox(left=left, top=top, width=width, height=height), 512))
    assert 1 <= cut.width <= 400
    assert 1 <= cut.height <= 200


async def test_a_face_is_returned(database_url: str, tmp_path: Path) -> None:
    """GetFaceContent returns the face that face_id names, and NOT_FOUND for any other."""
    svm = Scripted("svm", result=result("svm", face(LEFT)))
    async with library_of(database_url, tmp_path, svm) as (client, people):
        shown = await ended(client, (await added(client, picture((400, 200)))).picture_id)
        face_id = shown.faces[0].face_id
        returned = await people.GetFaceContent(pb.GetFaceContentRequest(face_id=face_id))
        other = pb.GetFaceContentRequest(face_id=face_id.replace("7", "8"))
        assert await refused(people.GetFaceContent(other)) == ("NOT_FOUND", "FACE_NOT_FOUND")
    assert (opened(returned.content).format, returned.media_type) == (None, "image/webp")
    assert opened(returned.content).size == (144, 108)
