"""Pictures that are added are recognized by the gateway, and what it found is kept."""

import asyncio
from pathlib import Path

from marquee.library.v1 import library_pb2 as lib
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2 as pb
from tests.support.library import library
from tests.support.processes import PATIENCE
from tests.support.servers import LEFT, RIGHT, Scripted, face, gateway, leaf, picture, result


async def ended(client: LibraryServiceStub, picture_id: str) -> lib.Picture:
    """Return the picture once its job has ended."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = (await client.GetPicture(lib.GetPictureRequest(picture_id=picture_id))).picture
            if shown.job.HasField("end_time"):
                return shown
            await asyncio.sleep(0.02)


async def add(client: LibraryServiceStub, **fields: object) -> lib.Picture:
    request = lib.AddImageRequest(image=pb.Image(content=picture()), **fields)
    return (await client.AddImage(request)).picture


async def test_a_picture_is_recognized(database_url: str, tmp_path: Path) -> None:
    """A picture is PENDING when it is added, and has faces, labels and answers once the gateway has answered."""
    found = result("svm", face(LEFT, "Anna"), face(RIGHT), labels=[pb.Label(name="Boat", score=0.5)], cost_micro_usd=7)
    recognizer = Scripted("svm", result=found)
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        added = await add(client)
        assert added.state == lib.PICTURE_STATE_PENDING
        shown = await ended(client, added.picture_id)
    assert shown.state == lib.PICTURE_STATE_RECOGNIZED
    assert [one.verdict.display_name for one in shown.faces] == ["Anna", ""]
    assert [one.name for one in shown.labels] == ["Boat"]
    assert [one.result.recognizer for one in shown.answers] == ["svm"]
    assert (shown.width, shown.height, shown.format) == (8, 6, "JPEG")
    assert shown.job.state == lib.JOB_STATE_DONE
