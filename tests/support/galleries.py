"""Recognizers with a gallery in memory, which enroll, served beside a library that has pictures of people."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import grpc
from PIL import Image as Pillow

from marquee.library.v1 import people_pb2
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from marquee.v1 import enrollment_pb2 as pb
from services.runtime import status
from services.runtime.errors import FaceBlurred, PersonNotFound
from services.runtime.leaf.leaf import Leaf
from services.runtime.leaf.recognizer import Enrollment, FaceRemoval, Page
from services.runtime.settings import LeafSettings
from tests.support.enrollers import ALREADY, ENROLLED, REFUSED
from tests.support.library import added, ended, library_server
from tests.support.pictures import jpeg
from tests.support.servers import LEFT, RIGHT, Scripted, face, gateway, result, served


class Gallery:
    """Learns every face, unless it raises `error` or refuses so many of a call's; keeps whom it knows."""

    def __init__(self, name: str, *, refuse: int = 0) -> None:
        self.name = name
        self.refuse = refuse
        self.error: Exception | None = None
        self.people_by_id: dict[str, tuple[str, dict[str, str]]] = {}
        """Name and faces, by their SHA-256, of each person."""
        self.pictures: list[bytes] = []
        self.similar: list[bool] = []

    @property
    def faces_by_name(self) -> dict[str, int]:
        """Number of faces by the person's name."""
        return {name: len(faces) for name, faces in self.people_by_id.values()}

    def know(self, person_id: str, name: str, *face_ids: str) -> None:
        """Know somebody, whom nobody has enrolled through the library."""
        self.people_by_id[person_id] = (name, dict.fromkeys(face_ids, ""))

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        self._fail()
        known, faces = self.people_by_id.get(enrollment.person_id, ("", {}))
        if not enrollment.images and not known:
            raise PersonNotFound("Nobody is known so.")
        self.similar.append(enrollment.allow_similar)
        entries = [self._entry(number, one.content, faces) for number, one in enumerate(enrollment.images)]
        self.people_by_id[enrollment.person_id] = (enrollment.new_name(known), faces)
        return pb.EnrollmentResult(faces=entries)

    async def remove(self, person_id: str, _collection: str) -> pb.RemovalResult:
        self._fail()
        _, faces = self.people_by_id.pop(person_id, ("", {}))
        return pb.RemovalResult(removed_faces=len(faces))

    async def people(self, page: Page) -> tuple[list[pb.Person], str]:
        self._fail()
        ids = sorted(one for one in self.people_by_id if one > page.token)
        shown = [pb.Person(person_id=one, display_name=self.people_by_id[one][0]) for one in ids[: page.size]]
        return shown, ids[page.size - 1] if len(ids) > page.size else ""

    async def remove_faces(self, removal: FaceRemoval) -> pb.FaceRemovalResult:
        self._fail()
        return pb.FaceRemovalResult(faces=[self._removed(removal.person_id, key) for key in removal.faces])

    async def faces(self, person_id: str, _page: Page) -> tuple[pb.FacesResult, str]:
        self._fail()
        if person_id not in self.people_by_id:
            return pb.FacesResult(), ""
        name, faces = self.people_by_id[person_id]
        shown = [pb.PersonFace(face_id=face_id, content_sha256=sha256) for face_id, sha256 in faces.items()]
        return pb.FacesResult(person=pb.Person(person_id=person_id, display_name=name), faces=shown), ""

    def _entry(self, number: int, content: bytes, faces: dict[str, str]) -> pb.EnrolledFace:
        if number < self.refuse:
            return pb.EnrolledFace(state=REFUSED, status=status.from_exception(FaceBlurred("The face is blurred.")))
        sha256 = hashlib.sha256(content).hexdigest()
        face_id = f"{self.name}-{sha256[:12]}"
        state = ALREADY if face_id in faces else ENROLLED
        faces[face_id] = sha256
        self.pictures.append(content)
        return pb.EnrolledFace(state=state, face_id=face_id)

    def _removed(self, person_id: str, key: pb.FaceKey) -> pb.RemovedFace:
        _, faces = self.people_by_id.get(person_id, ("", {}))
        gone = [one for one, sha256 in faces.items() if key.face.face_id == one or key.content_sha256 == sha256]
        for face_id in gone:
            del faces[face_id]
        if not faces:
            self.people_by_id.pop(person_id, None)
        return pb.RemovedFace(key=key, removed_faces=len(gone))

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Enrolled(NamedTuple):
    """Clients of a library, of its people, and its address."""

    library: LibraryServiceStub
    people: PeopleServiceStub
    address: str

    async def faces(self, pictures: int) -> list[tuple[str, str]]:
        """Add so many pictures; return the face on the left and that on the right of each."""
        found = []
        for number in range(pictures):
            content = jpeg(Pillow.linear_gradient("L").resize((400 + 40 * number, 300)).convert("RGB"))
            shown = await ended(self.library, (await added(self.library, content)).picture_id)
            left, right = sorted(shown.faces, key=lambda one: one.verdict.box.left)
            found.append((left.face_id, right.face_id))
        return found

    async def person(self, name: str, *face_ids: str) -> str:
        """Create a person of faces."""
        request = people_pb2.CreatePersonRequest(display_name=name, face_ids=face_ids)
        return str((await self.people.CreatePerson(request)).person.person_id)

    async def enroll(self, person_id: str, *face_ids: str, **fields: object) -> people_pb2.EnrollPersonResponse:
        request = people_pb2.EnrollPersonRequest(person_id=person_id, face_ids=face_ids, **fields)
        response: people_pb2.EnrollPersonResponse = await self.people.EnrollPerson(request)
        return response


@asynccontextmanager
async def enrolled(url: str, store: Path, *galleries: Gallery, **settings: object) -> AsyncIterator[Enrolled]:
    """Yield clients of a library behind a gateway of these galleries and of `keras`, which does not enroll.

    All of them find a face on the left and one on the right of each picture.
    """
    async with AsyncExitStack() as stack:
        targets = {}
        for one in (*galleries, None):
            name = one.name if one else "keras"
            recognizer = Scripted(name, result=result(name, face(LEFT), face(RIGHT)))
            recognizer.listed.can_enroll = one is not None
            leaf = Leaf(recognizer, LeafSettings(), one)
            targets[name] = await stack.enter_async_context(served(leaf))
        front = await stack.enter_async_context(gateway(targets))
        address = await stack.enter_async_context(library_server(url, store, front, **settings))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        yield Enrolled(LibraryServiceStub(channel), PeopleServiceStub(channel), address)
