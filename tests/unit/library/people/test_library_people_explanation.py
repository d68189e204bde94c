"""ExplainFace: why a face has its name, and what would be without its decision."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from tests.support import library_faces
from tests.support.library import library_server, refused
from tests.support.library_people import people
from tests.support.processes import PATIENCE
from tests.support.servers import nobody

ADA, BEN = UUID(int=1), UUID(int=2)
BANDS = "UPDATE used_model SET assign_distance = 0.3, suggest_distance = 0.6"
OPINION = "INSERT INTO opinion (face_id, source, person_id, score, band) VALUES ($1, $2, $3, $4, $5)"
REFUSAL = "INSERT INTO face_refusal (face_id, person_id, caller) VALUES ($1, $2, 'ann')"


@pytest.fixture
async def faces(database_url: str) -> list[UUID]:
    """Return three faces near each other and one far from them, of which the first was decided, and the last."""
    places = [(place, 1.0) for place in (0, 0.05, 0.08, 9)]
    face_ids = await library_faces.write(database_url, np.array(places, np.float32))
    async with library_faces.connected(database_url) as connection:
        await connection.execute(BANDS)
    await library_faces.decide(database_url, [face_ids[0], face_ids[3]], ADA, BEN)
    return face_ids


@pytest.fixture
async def client(database_url: str, faces: list[UUID], tmp_path: Path) -> AsyncIterator[PeopleServiceStub]:  # noqa: ARG001 - they are there first
    async with (
        library_server(database_url, tmp_path, nobody(), library_workers=0) as address,
        people(address) as client,
    ):
        yield client


async def explained(
    client: PeopleServiceStub, face_id: UUID, condition: Callable[[pb.ExplainFaceResponse], object]
) -> pb.ExplainFaceResponse:
    """Return the explanation once the condition holds for it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await client.ExplainFace(pb.ExplainFaceRequest(face_id=str(face_id)))
            if condition(found):
                return found
            await asyncio.sleep(0.05)


async def test_a_name_by_neighbours_is_explained_by_them(client: PeopleServiceStub, faces: list[UUID]) -> None:
    """A face that is named by those near it shows them, the nearest first, and that nobody has decided it."""
    found = await explained(client, faces[1], lambda one: one.face.face.person_id)
    assert found.face.face.source == library_pb2.ASSIGNMENT_SOURCE_NEIGHBOURS
    assert [(one.source, one.display_name, one.band, one.overruled) for one in found.opinions] == [
        ("neighbours", "Person 1", pb.BAND_ASSIGN, "")
    ]
    assert [one.face.face_id for one in found.neighbours] == [str(faces[number]) for number in (2, 0, 3)]
    assert found.neighbours[0].distance == pytest.approx(0.03, abs=1e-3)
    assert not found.HasField("decision")
    assert "This face is Person 1 by faces near it" in found.reasons[0]


async def test_a_decision_tells_who_follows_it(client: PeopleServiceStub, faces: list[UUID]) -> None:
    """Without the only decision of a person, those near the face lose their name, and others keep it."""
    await explained(client, faces[2], lambda one: one.face.face.person_id)
    found = await explained(client, faces[0], lambda one: len(one.affected_face_ids) == 2)
    assert found.decision.display_name == "Person 1"
    assert not found.HasField("without_decision")
    assert set(found.affected_face_ids) == {str(faces[1]), str(faces[2])}
    assert found.reasons[-1] == (
        "Without the decision, it would be nobody who is known, and 2 other faces may get another name."
    )
    alone = await explained(client, faces[3], lambda one: one.decision.display_name == "Person 2")
    assert not alone.affected_face_ids


async def test_a_second_decision_keeps_the_name(
    client: PeopleServiceStub, faces: list[UUID], database_url: str
) -> None:
    """Where another face nearby was decided to be the same person, undoing one decision changes nothing."""
    await library_faces.decide(database_url, [faces[1]], ADA)
    await explained(client, faces[2], lambda one: one.face.face.person_id)
    found = await explained(client, faces[0], lambda one: one.HasField("without_decision"))
    assert found.without_decision.person_id == str(ADA)
    assert not found.affected_face_ids


async def test_why_an_opinion_names_nobody(client: PeopleServiceStub, faces: list[UUID], database_url: str) -> None:
    """A sure opinion that names nobody says why: it was refused, or something else was decided."""
    async with library_faces.connected(database_url) as connection:
        for face_id in (faces[1], faces[3]):
            await connection.execute(OPINION, face_id, "svm", BEN if face_id == faces[1] else ADA, 0.9, 1)
        await connection.execute(REFUSAL, faces[1], BEN)
    refusal = await explained(client, faces[1], lambda one: len(one.opinions) == 2)
    by_source = {one.source: one.overruled for one in refusal.opinions}
    assert by_source == {"svm": "the face was refused to be them", "neighbours": ""}
    assert [(one.display_name, one.caller) for one in refusal.refusals] == [("Person 2", "ann")]
    decided = await explained(client, faces[3], lambda one: one.opinions)
    assert decided.opinions[0].overruled == "something else was decided"
    assert decided.without_decision.person_id == str(ADA)


async def test_a_face_that_is_not_there_is_not_found(client: PeopleServiceStub) -> None:
    """An unknown face, and what is no identifier, are NOT_FOUND."""
    for face_id in (str(uuid4()), "x"):
        code, reason = await refused(client.ExplainFace(pb.ExplainFaceRequest(face_id=face_id)))
        assert (code, reason) == ("NOT_FOUND", "FACE_NOT_FOUND")
