"""Enrolled and erased people, as two gateways that keep answers see them."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from local.pictures import photo
from marquee.v1 import enrollment_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2 import EnrollFacesRequest, RemovePersonRequest
from services.gateway.config import CacheConfig
from services.runtime.leaf.leaf import Leaf
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings
from tests.support.servers import Stub, gateway, served
from tests.support.svm_enrollment import HOPPER, write_model
from tests.unit.gateway.cache.test_cache_hits import known


@dataclass
class Office:
    """A gateway with a replica of the recognizer behind it; all replicas share the gallery."""

    recognizer: Stub
    people: enrollment_pb2_grpc.EnrollmentServiceStub

    async def named(self, picture: bytes, **fields: object) -> tuple[list[str], bool]:
        """Return the names in the picture, and whether they were known already."""
        request = pb.RecognizeImageRequest(image=pb.Image(content=picture), features=[pb.FEATURE_CELEBRITIES], **fields)
        response = await self.recognizer.RecognizeImage(request, timeout=60)
        return [one.display_name for one in response.verdicts], response.results[0].from_cache

    async def sees(self, picture: bytes, names: list[str]) -> None:
        """Ask until the names are these."""
        async with asyncio.timeout(30):
            while (await self.named(picture))[0] != names:  # noqa: ASYNC110 - each round is a call
                await asyncio.sleep(0.05)


@asynccontextmanager
async def office(folder: Path) -> AsyncIterator[Office]:
    model, gallery = folder / "model.skops", folder / "gallery.npz"
    settings = SvmSettings(svm_model=str(model), svm_gallery=str(gallery), workers=1)
    recognizer = SvmRecognizer(settings)
    async with AsyncExitStack() as stack:
        svm = await stack.enter_async_context(served(Leaf(recognizer, settings, SvmEnroller(recognizer))))
        address = await stack.enter_async_context(gateway({"svm": svm}, cache=CacheConfig()))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        await known(Stub(channel))
        yield Office(Stub(channel), enrollment_pb2_grpc.EnrollmentServiceStub(channel))


@pytest.fixture
async def offices(tmp_path: Path) -> AsyncIterator[tuple[Office, Office]]:
    write_model(tmp_path)
    async with office(tmp_path) as here, office(tmp_path) as there:
        yield here, there


async def test_people_come_and_go_everywhere(offices: tuple[Office, Office]) -> None:
    """Who is enrolled or removed through one gateway is so at the next call there, and soon at another, too.

    Both have kept answers from before. That of before somebody was enrolled is right again once they are removed.
    """
    here, there = offices
    buffer = io.BytesIO()
    photo(HOPPER).save(buffer, "JPEG")
    picture = buffer.getvalue()
    assert [await here.named(picture), await here.named(picture)] == [([""], False), ([""], True)]
    assert await there.named(picture) == ([""], False)

    await here.people.EnrollFaces(EnrollFacesRequest(display_name=HOPPER, images=[pb.Image(content=picture)]))
    assert await here.named(picture) == ([HOPPER], False)
    await there.sees(picture, [HOPPER])
    assert await there.named(picture) == ([HOPPER], True)

    await there.people.RemovePerson(RemovePersonRequest(person_id="grace-hopper"))
    assert await there.named(picture) == ([""], False)
    await here.sees(picture, [""])
