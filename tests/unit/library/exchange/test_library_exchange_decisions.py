"""ExportDecisions: what was decided, as trainers and calibration take it."""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.library.v1 import library_pb2, people_pb2
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from services.gateway.evaluation.pictures import read_pictures
from services.library.exchange.decisions import folder_names
from services.runtime.images.folder import labelled_pictures
from services.runtime.images.image import Image
from services.runtime.people import person_id_of
from tests.support.library import added, library_server
from tests.support.library_people import people
from tests.support.servers import LEFT, RIGHT, Scripted, face, gateway, leaf, picture, result

names = st.dictionaries(st.uuids(), st.text(max_size=30) | st.sampled_from(["Ada", "ada ", "unknown", ".", "../x"]))


class Clients(NamedTuple):
    """Clients of a library."""

    library: LibraryServiceStub
    people: PeopleServiceStub

    async def add(self, width: int) -> library_pb2.Picture:
        """Add a picture and return it, recognized, with a face on the left and one on the right."""
        return await added(self.library, picture((width, 60)), wait=True)

    async def create(self, name: str, *face_ids: str) -> str:
        """Create a person of faces; return the person_id."""
        request = people_pb2.CreatePersonRequest(display_name=name, face_ids=face_ids)
        return (await self.people.CreatePerson(request)).person.person_id

    async def mark(self, face_id: str, mark: people_pb2.FaceMark.ValueType) -> None:
        await self.people.MarkFaces(people_pb2.MarkFacesRequest(face_ids=[face_id], mark=mark))

    async def export(self, folder: Path, **fields: object) -> int:
        """Unpack what is exported into the folder; return the number of faces."""
        pieces = [one async for one in self.people.ExportDecisions(people_pb2.ExportDecisionsRequest(**fields))]
        with tarfile.open(fileobj=io.BytesIO(b"".join(one.content for one in pieces))) as archive:
            archive.extractall(folder, filter="data")
        return pieces[-1].face_count


@pytest.fixture
async def clients(database_url: str, tmp_path: Path) -> AsyncIterator[Clients]:
    found = result("svm", face(LEFT), face(RIGHT))
    async with (
        leaf(Scripted("svm", result=found)) as target,
        gateway({"svm": target}) as address,
        library_server(database_url, tmp_path / "store", address) as library,
        people(library) as client,
        grpc.aio.insecure_channel(library) as channel,
    ):
        yield Clients(LibraryServiceStub(channel), client)


async def test_training_gets_a_folder_of_faces_for_each_person(clients: Clients, tmp_path: Path) -> None:
    """Each decided face is a picture of its own in its person's folder; who was merged is in the other one's."""
    one, other = await clients.add(80), await clients.add(90)
    ada = await clients.create("Ada Lovelace", one.faces[0].face_id)
    alias = await clients.create("A. L.", other.faces[1].face_id)
    await clients.people.MergePeople(people_pb2.MergePeopleRequest(person_id=ada, merged_ids=[alias]))
    await clients.create("Ben", one.faces[1].face_id)
    gone = await clients.create("Gone", other.faces[0].face_id)
    await clients.people.DeletePerson(people_pb2.DeletePersonRequest(person_id=gone))
    assert await clients.export(tmp_path / "all") == 3
    found, left_out = labelled_pictures(tmp_path / "all")
    assert not left_out
    assert {name: sorted(path.stem for path in paths) for name, paths in found.items()} == {
        "Ada Lovelace": sorted((one.faces[0].face_id, other.faces[1].face_id)),
        "Ben": [one.faces[1].face_id],
    }
    height, width = Image(found["Ben"][0].read_bytes()).upright().shape[:2]
    assert width < 80
    assert height <= 60
    assert await clients.export(tmp_path / "some", least_faces=2) == 2
    assert [one.name for one in (tmp_path / "some").iterdir()] == ["Ada Lovelace"]


async def test_calibration_gets_pictures_of_one_face_and_strangers(clients: Clients, tmp_path: Path) -> None:
    """A picture with one face is exported as it is, and whoever does not matter is a stranger."""
    one, other = await clients.add(80), await clients.add(90)
    await clients.create("Ada", one.faces[0].face_id)
    await clients.mark(one.faces[1].face_id, people_pb2.FACE_MARK_NOT_A_FACE)
    await clients.mark(other.faces[0].face_id, people_pb2.FACE_MARK_IGNORED)
    assert await clients.export(tmp_path / "faces", form=people_pb2.DECISION_FORM_CALIBRATION) == 2
    pictures, left_out = read_pictures(tmp_path / "faces")
    assert not left_out
    assert sorted((one.person, one.path.stem) for one in pictures) == [
        ("", other.faces[0].face_id),
        ("ada", one.faces[0].face_id),
    ]
    assert next(one.path for one in pictures if one.person).read_bytes() == picture((80, 60))


async def test_what_has_no_file_is_told(clients: Clients, tmp_path: Path) -> None:
    """A face whose picture's file is lost is left out, and a table says so."""
    one = await clients.add(80)
    await clients.create("Ada", one.faces[0].face_id)
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            path.unlink()
    assert await clients.export(tmp_path / "lost") == 0
    line = (tmp_path / "lost" / "left-out.tsv").read_text(encoding="utf-8")
    assert line.startswith(f"{one.faces[0].face_id}\tAda\t")


@given(names)
def test_folders_are_safe_and_of_one_person_each(people: dict[UUID, str]) -> None:
    """Whatever people are called, each has a folder of their own, below the archive's, which trainers tell apart."""
    found = folder_names(people)
    assert found.keys() == people.keys()
    assert len({person_id_of(name) for name in found.values()}) == len(found)
    for name in found.values():
        assert name.isprintable()
        assert not set(name) & set("/\\:")
        assert name.casefold() != "unknown"
        assert not name.startswith(".")
        assert len(name.encode()) <= 1000
