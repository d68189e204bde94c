"""Gateways that keep answers, each with a replica of an SVM recognizer; the replicas share a gallery."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from local.pictures import photo
from marquee.v1 import enrollment_pb2_grpc
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2 import EnrollFacesRequest, RemovePersonRequest
from services.gateway.config import CacheConfig
from services.runtime.leaf.leaf import Leaf
from services.runtime.server.calls import POLL_METADATA
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings
from tests.support.servers import Stub, gateway, served
from tests.support.svm_enrollment import HOPPER


def hopper() -> bytes:
    """Return a picture of Grace Hopper."""
    buffer = io.BytesIO()
    photo(HOPPER).save(buffer, "JPEG")
    return buffer.getvalue()


async def known(client: Stub, *metadata: tuple[str, str]) -> None:
    """Wait until the gateway has been told of all recognizers' models."""
    poll = (*metadata, *POLL_METADATA)
    async with asyncio.timeout(30):
        listed = pb.ListRecognizersResponse(recognizers=[pb.Recognizer()])
        while not all(one.models for one in listed.recognizers):
            listed = await client.ListRecognizers(pb.ListRecognizersRequest(), metadata=poll)


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

    async def enroll(self, picture: bytes) -> None:
        """Enroll Grace Hopper."""
        await self.people.EnrollFaces(EnrollFacesRequest(display_name=HOPPER, images=[pb.Image(content=picture)]))

    async def remove(self) -> None:
        """Remove Grace Hopper."""
        await self.people.RemovePerson(RemovePersonRequest(person_id="grace-hopper"))

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
