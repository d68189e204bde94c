"""Search by face: who looks like a face, a person or a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from marquee.library.v1 import library_pb2 as lib
from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.faces import models
from tests.support import library_faces
from tests.support.library import refused, rows
from tests.support.library_faces import embedded, embedding
from tests.support.library_people import library_of
from tests.support.servers import LEFT, RIGHT, Scripted, picture

VECTORS = np.array([[one, 0] for one in range(6)], np.float32) + 1
IMAGE = recognizer_pb2.Image(content=picture())


def found(response: pb.FindSimilarFacesResponse) -> list[tuple[str, float]]:
    return [(one.face.face_id, one.distance) for one in response.faces]


def expected(face_ids: Sequence[object], *pairs: tuple[int, float]) -> list[tuple[str, float]]:
    return [(str(face_ids[number]), distance) for number, distance in pairs]


async def test_who_looks_like_a_face(database_url: str, tmp_path: Path) -> None:
    """Others come nearest first with their distances, as far as asked for; all were compared."""
    ids = await library_faces.write(database_url, VECTORS)
    async with library_of(database_url, tmp_path) as (_, people):
        near = await people.FindSimilarFaces(pb.FindSimilarFacesRequest(face_id=str(ids[0]), limit=2))
        assert (found(near), near.exact) == (expected(ids, (1, 1), (2, 2)), True)
        assert (near.model.name, near.model.metric, near.model.used) == ("net", "l2", True)
        within = await people.FindSimilarFaces(pb.FindSimilarFacesRequest(face_id=str(ids[5]), max_distance=1.5))
        assert found(within) == expected(ids, (4, 1))
        query = lib.PictureQuery()
        query.taken.end.FromSeconds(1)
        none = await people.FindSimilarFaces(pb.FindSimilarFacesRequest(face_id=str(ids[5]), query=query))
        assert (found(none), none.exact) == ([], True)


async def test_who_looks_like_a_person(database_url: str, tmp_path: Path) -> None:
    """What is near any of the decided faces is found, and none of these; a person without one has no neighbours."""
    ids = await library_faces.write(database_url, VECTORS)
    async with library_of(database_url, tmp_path) as (_, people):
        named = pb.CreatePersonRequest(display_name="Anna", face_ids=[str(ids[0]), str(ids[5])])
        anna = (await people.CreatePerson(named)).person.person_id
        near = await people.FindSimilarFaces(pb.FindSimilarFacesRequest(person_id=anna, limit=3))
        assert {one[0]: one[1] for one in found(near)[:2]} == dict(expected(ids, (1, 1), (4, 1)))
        nobody = (await people.CreatePerson(pb.CreatePersonRequest(display_name="Bert"))).person.person_id
        alone = people.FindSimilarFaces(pb.FindSimilarFacesRequest(person_id=nobody))
        assert await refused(alone) == ("FAILED_PRECONDITION", "MODEL_NOT_FOUND")


async def test_who_looks_like_a_picture(database_url: str, tmp_path: Path) -> None:
    """A picture of one face finds those like it, asks only who embeds, at the caller's expense, and is not kept."""
    ids = await library_faces.write(database_url, VECTORS)
    svm, paid = embedding("svm", embedded(LEFT, [2.5, 1])), Scripted("paid")
    async with library_of(database_url, tmp_path, svm, paid) as (_, people):
        near = await people.FindSimilarFaces(pb.FindSimilarFacesRequest(image=IMAGE, limit=2))
        assert dict(found(near)) == dict(expected(ids, (1, 0.5), (2, 0.5)))
        svm.result.faces.append(embedded(RIGHT, [1, 1]))
        several = people.FindSimilarFaces(pb.FindSimilarFacesRequest(image=IMAGE))
        assert await refused(several) == ("INVALID_ARGUMENT", "SEVERAL_FACES")
        del svm.result.faces[:]
        none = people.FindSimilarFaces(pb.FindSimilarFacesRequest(image=IMAGE))
        assert await refused(none) == ("INVALID_ARGUMENT", "NO_FACE")
    assert (len(svm.calls), len(paid.calls)) == (3, 0)
    assert await rows(database_url, "SELECT count(*) FROM picture") == [(6,)]


async def test_a_picture_of_another_model_finds_nobody(database_url: str, tmp_path: Path) -> None:
    """Vectors of two models are never compared."""
    await library_faces.write(database_url, VECTORS)
    async with library_of(database_url, tmp_path, embedding("svm", embedded(LEFT, [1, 1], version="2"))) as (_, people):
        other = people.FindSimilarFaces(pb.FindSimilarFacesRequest(image=IMAGE))
        assert await refused(other) == ("FAILED_PRECONDITION", "MODEL_NOT_FOUND")


WRONG = {
    "nothing": pb.FindSimilarFacesRequest(),
    "a negative limit": pb.FindSimilarFacesRequest(face_id="x", limit=-1),
    "too many": pb.FindSimilarFacesRequest(face_id="x", limit=1001),
    "a negative distance": pb.FindSimilarFacesRequest(face_id="x", max_distance=-1),
}


async def test_what_makes_no_sense_is_refused(database_url: str, tmp_path: Path) -> None:
    """A subject is required, and numbers have their limits."""
    async with library_of(database_url, tmp_path) as (_, people):
        early = people.FindSimilarFaces(pb.FindSimilarFacesRequest(face_id="x"))
        assert await refused(early) == ("FAILED_PRECONDITION", "MODEL_NOT_FOUND")
        ids = await library_faces.write(database_url, VECTORS)
        for name, request in WRONG.items():
            assert (await refused(people.FindSimilarFaces(request)))[0] == "INVALID_ARGUMENT", name
        other = np.ones((1, 2), np.float32)
        await library_faces.write(database_url, other, collection="others")
        request = pb.FindSimilarFacesRequest(collection="others", face_id=str(ids[0]))
        assert await refused(people.FindSimilarFaces(request)) == ("NOT_FOUND", "FACE_NOT_FOUND")


async def test_the_index_is_checked(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CheckIndex compares what the index finds with all, for as many faces as asked for, and says how long it took."""
    monkeypatch.setattr(models, "FEW", 10)
    own = np.random.default_rng(2).normal(size=(400, 8)).astype(np.float32)
    await library_faces.write(database_url, own)
    async with library_of(database_url, tmp_path) as (_, people):
        request = pb.CheckIndexRequest(sample_size=20, neighbour_count=5)
        report = await people.CheckIndex(request)
        assert (report.recall, report.sample_size, report.neighbour_count, report.model.face_count) == (1, 20, 5, 400)
    database = models.Database(database_url, 1)
    assert await models.Indexes(database, 64, 10).build() == 1
    await database.close()
    async with library_of(database_url, tmp_path) as (_, people):
        report = await people.CheckIndex(request)
    assert 0.9 <= report.recall <= 1
    assert min(report.index_milliseconds, report.exact_milliseconds) > 0
