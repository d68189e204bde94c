"""Scripted enrollers, each served beside a recognizer, optionally behind a gateway."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from google.rpc import status_pb2

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from services.runtime import status
from services.runtime.errors import GalleryBusy
from services.runtime.leaf.leaf import Leaf
from services.runtime.leaf.recognizer import Enrollment, FaceRemoval, Page
from services.runtime.settings import LeafSettings
from tests.support.servers import Scripted, gateway, picture, served

ENROLLED, ALREADY, REFUSED = (
    pb.ENROLLMENT_STATE_ENROLLED,
    pb.ENROLLMENT_STATE_ALREADY_ENROLLED,
    pb.ENROLLMENT_STATE_REFUSED,
)


class ScriptedEnroller:
    """Enrolls every picture, refuses those numbered in `refuse`, or raises `error`; records its calls."""

    def __init__(
        self,
        name: str = "svm",
        *,
        refuse: dict[int, Exception] | None = None,
        error: Exception | None = None,
        person_ids: tuple[str, ...] = (),
        warning: str = "",
    ) -> None:
        self.name = name
        self.refuse = refuse or {}
        self.error = error
        self.person_ids = sorted(person_ids)
        self.warning = warning
        self.enrolled: list[Enrollment] = []
        self.known_name = ""
        self.s3_object: recognizer_pb2.S3Object | None = None
        self.face_ids: tuple[str, ...] = ()
        self.busy: tuple[str, ...] = ()
        self.face_removals: list[FaceRemoval] = []
        self.removed: list[tuple[str, str]] = []

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        self._fail()
        self.enrolled.append(enrollment)
        return pb.EnrollmentResult(
            person=pb.Person(person_id=enrollment.person_id, display_name=enrollment.new_name(self.known_name)),
            faces=[self._face(number) for number in range(len(enrollment.images))],
        )

    async def remove(self, person_id: str, collection: str) -> pb.RemovalResult:
        self._fail()
        self.removed.append((person_id, collection))
        return pb.RemovalResult(removed_faces=2, warnings=[self.warning] if self.warning else [])

    async def people(self, page: Page) -> tuple[list[pb.Person], str]:
        self._fail()
        later = [one for one in self.person_ids if one > page.token]
        page_ids = later[: page.size]
        return [pb.Person(person_id=one) for one in page_ids], page_ids[-1] if len(later) > page.size else ""

    async def remove_faces(self, removal: FaceRemoval) -> pb.FaceRemovalResult:
        self._fail()
        self.face_removals.append(removal)
        return pb.FaceRemovalResult(faces=[self._removed(key) for key in removal.faces])

    async def faces(self, person_id: str, page: Page) -> tuple[pb.FacesResult, str]:
        self._fail()
        if person_id not in self.person_ids:
            return pb.FacesResult(), ""
        start = int(page.token or 0)
        source = self.s3_object
        faces = [
            pb.PersonFace(face_id=face_id, s3_object=source) for face_id in self.face_ids[start : start + page.size]
        ]
        end = start + len(faces)
        result = pb.FacesResult(person=pb.Person(person_id=person_id), faces=faces)
        return result, str(end) if end < len(self.face_ids) else ""

    def _removed(self, key: pb.FaceKey) -> pb.RemovedFace:
        if key.face.face_id in self.busy:
            return pb.RemovedFace(key=key, status=status.from_exception(GalleryBusy("Try again.")))
        return pb.RemovedFace(key=key, removed_faces=1)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _face(self, number: int) -> pb.EnrolledFace:
        if number in self.refuse:
            return pb.EnrolledFace(state=REFUSED, status=status.from_exception(self.refuse[number]))
        return pb.EnrolledFace(state=ENROLLED, face_id=str(number))


@asynccontextmanager
async def enrolling(enroller: ScriptedEnroller | None, name: str = "svm", **settings: object) -> AsyncIterator[str]:
    """Serve a recognizer with the enroller, or one that does not enroll; yield the address."""
    recognizer = Scripted(enroller.name if enroller else name)
    async with served(Leaf(recognizer, LeafSettings(**settings), enroller)) as address:
        yield address


@asynccontextmanager
async def client(address: str) -> AsyncIterator[EnrollmentServiceStub]:
    """Yield a client of EnrollmentService."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield EnrollmentServiceStub(channel)


@asynccontextmanager
async def through_gateway(*enrollers: ScriptedEnroller, **others: str) -> AsyncIterator[EnrollmentServiceStub]:
    """Yield a client of a gateway over the enrollers, `keras`, which does not enroll, and others by target."""
    async with AsyncExitStack() as stack:
        backends = {one.name: await stack.enter_async_context(enrolling(one)) for one in enrollers}
        backends["keras"] = await stack.enter_async_context(enrolling(None, "keras"))
        address = await stack.enter_async_context(gateway(backends | others))
        yield await stack.enter_async_context(client(address))


def enrollment(pictures: int = 1, **fields: object) -> pb.EnrollFacesRequest:
    """Return a request to enroll Ada from small pictures."""
    images = [recognizer_pb2.Image(content=picture()) for _ in range(pictures)]
    return pb.EnrollFacesRequest(**{"display_name": "Ada Lovelace", "images": images} | fields)


async def refusal(call: grpc.aio.UnaryUnaryCall) -> status_pb2.Status:
    """Return the status with which the call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return status.from_rpc_error(caught.value)


def code_and_reason(refused: status_pb2.Status) -> tuple[str, str]:
    """Return the code and the reason of a status."""
    return status.code_of(refused).name, status.reason_of(refused)


def states(result: pb.EnrollmentResult) -> list[int]:
    """Return the states of its faces."""
    return [face.state for face in result.faces]


def reasons(result: pb.EnrollmentResult) -> list[str]:
    """Return the reasons of its faces; empty for one that was not refused."""
    return [status.reason_of(face.status) for face in result.faces]
