"""Two models are compared on what was decided, before the new one is used."""

from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.library.v1 import people_pb2 as pb
from services.library.faces.comparison import Faces, equal_error_rate, judge
from services.library.faces.vectors import as_text
from tests.support import library_faces
from tests.support.library import library_server, refused
from tests.support.library_people import people
from tests.support.servers import nobody

ADA, BEN, CARL = (UUID(int=number) for number in (1, 2, 3))
distances = st.lists(st.integers(0, 9), min_size=1, max_size=30)


def points(*places: float) -> np.ndarray:
    return np.array([(place, 1.0) for place in places], np.float32)


async def second_model(url: str, face_ids: list[UUID], vectors: np.ndarray) -> int:
    """Write another model's vectors of the faces; return its number."""
    model = (
        "INSERT INTO vector_model (name, version, metric, dimensions) VALUES ('new', '1', 'l2', 2) RETURNING model_id"
    )
    vector = (
        "INSERT INTO face_vector SELECT face_id, $1, collection_id, picture_id, CAST($3::text AS halfvec)"
        " FROM face JOIN picture USING (picture_id) WHERE face_id = $2"
    )
    async with library_faces.connected(url) as connection:
        model_id = int(await connection.fetchval(model))
        for face_id, one in zip(face_ids, vectors, strict=True):
            await connection.execute(vector, model_id, face_id, as_text(one))
    return model_id


@given(distances, distances)
def test_the_equal_error_rate_is_where_both_errors_meet(same: list[int], different: list[int]) -> None:
    """It is the mean of the two errors at a distance at which they differ least."""
    errors = [
        (sum(one > limit for one in same) / len(same), sum(one <= limit for one in different) / len(different))
        for limit in {*same, *different}
    ]
    least = min(abs(missed - mixed) for missed, mixed in errors)
    rates = [(missed + mixed) / 2 for missed, mixed in errors if abs(missed - mixed) < least + 1e-9]
    assert equal_error_rate(np.array(same), np.array(different)) in [pytest.approx(one) for one in rates]


def test_pictures_of_the_same_pixels_are_no_test() -> None:
    """A face is not named by itself in a copy of its picture, and who has no other picture is not counted."""
    vectors = points(0, 0, 5, 5.1, 9)
    faces = Faces([uuid4() for _ in vectors], [ADA, ADA, BEN, BEN, ADA], ["a", "a", "b", "c", "d"], (vectors, vectors))
    judged = judge(faces)
    assert judged.counted.all()
    assert judged.right[0].tolist() == [False, False, True, True, False]
    lone = Faces([uuid4()], [ADA], ["a"], (points(0), points(0)))
    assert not judge(lone).counted.any()


def test_nothing_decided_is_no_error() -> None:
    """Without a decided face there is nothing that a model does well or badly."""
    nothing = Faces([], [], [], (np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)))
    assert judge(nothing).error_rates == (0.0, 0.0)


async def test_who_gains_and_who_loses_is_told(database_url: str, tmp_path: Path) -> None:
    """The report has both models' accuracy, and whose faces are named better and worse, losers first."""
    face_ids = await library_faces.write(database_url, points(0, 0.1, 5, 9, 5.1, 0.3))
    await library_faces.decide(database_url, face_ids, ADA, ADA, BEN, BEN, CARL, CARL)
    new_model_id = await second_model(database_url, face_ids, points(0, 7, 5, 5.1, 7.1, -0.2))
    async with (
        library_server(database_url, tmp_path, nobody(), library_workers=0) as address,
        people(address) as client,
    ):
        report = await client.CompareModels(pb.CompareModelsRequest(new_model_id=new_model_id))
        missing = client.CompareModels(pb.CompareModelsRequest(new_model_id=99))
        assert (await refused(missing))[1] == "MODEL_NOT_FOUND"
    assert report.face_count == 6
    assert report.old_accuracy == pytest.approx(2 / 6)
    assert report.new_accuracy == pytest.approx(2 / 6)
    assert (report.better_count, report.worse_count) == (2, 2)
    assert [one.display_name for one in report.people] == ["Person 1", "Person 2"]
    assert sorted(report.people[0].worse_face_ids) == [str(one) for one in face_ids[:2]]
    assert sorted(report.people[1].better_face_ids) == [str(one) for one in face_ids[2:4]]


async def test_merged_and_deleted_people_are_compared_as_they_are_now(database_url: str, tmp_path: Path) -> None:
    """Whoever was merged is the other one, and a deleted person's faces are left out."""
    face_ids = await library_faces.write(database_url, points(0, 0.1, 5, 5.1))
    await library_faces.decide(database_url, face_ids, ADA, BEN, CARL, CARL)
    async with library_faces.connected(database_url) as connection:
        await connection.execute("UPDATE person SET merged_id = $1 WHERE person_id = $2", ADA, BEN)
        await connection.execute("UPDATE person SET delete_time = now() WHERE person_id = $1", CARL)
    new_model_id = await second_model(database_url, face_ids, points(0, 0.1, 5, 5.1))
    async with (
        library_server(database_url, tmp_path, nobody(), library_workers=0) as address,
        people(address) as client,
    ):
        report = await client.CompareModels(pb.CompareModelsRequest(new_model_id=new_model_id))
    assert (report.face_count, report.old_accuracy, report.new_accuracy) == (2, 1, 1)
