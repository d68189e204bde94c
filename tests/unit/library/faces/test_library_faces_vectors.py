"""Vectors that recognizers give are kept with the faces they are of, and nowhere else."""

from pathlib import Path

import pytest

from marquee.library.v1 import library_pb2 as lib
from marquee.v1 import recognizer_pb2 as pb
from services.library.faces.vectors import is_usable
from services.runtime.errors import DependencyUnavailable
from tests.support.library import added, ended, rows, run_sql, shown_when
from tests.support.library_faces import embedded, embedding
from tests.support.library_people import library_of
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, Scripted, face, result

VECTORS = """
SELECT name, version, metric, vector::text FROM face_vector JOIN vector_model USING (model_id) JOIN face USING (face_id)
ORDER BY position, name, version
"""


async def test_vectors_are_kept_with_faces(database_url: str, tmp_path: Path) -> None:
    """Each face has its vector by model; a box of another detector is the same face; answers hold no vectors."""
    svm = embedding("svm", embedded(LEFT, [1, 2]), embedded(RIGHT, [0.5, 4]))
    other = embedding("other", embedded(NEAR_LEFT, [3, 4, 5], version="2", metric="cosine"))
    async with library_of(database_url, tmp_path, svm, other) as (client, _):
        picture_id = (await added(client)).picture_id
        await ended(client, picture_id)
        request = lib.GetPictureRequest(picture_id=picture_id)
        shown = (await client.GetPicture(request)).picture
    assert len(shown.faces) == 2
    assert {one.result.recognizer: len(one.result.faces) for one in shown.answers} == {"svm": 2, "other": 1}
    assert not any(one.HasField("embedding") for answer in shown.answers for one in answer.result.faces)
    assert await rows(database_url, VECTORS) == [
        ("net", "1", "l2", "[1,2]"),
        ("net", "2", "cosine", "[3,4,5]"),
        ("net", "1", "l2", "[0.5,4]"),
    ]
    assert await rows(database_url, "SELECT version FROM used_model JOIN vector_model USING (model_id)") == [("1",)]


async def test_a_face_found_again_has_its_new_vector(database_url: str, tmp_path: Path) -> None:
    """A face keeps its row: its vector is replaced, and it is compared again exactly if the vector is another."""
    svm = embedding("svm", embedded(LEFT, [1, 2]), embedded(RIGHT, [3, 4]))
    async with library_of(database_url, tmp_path, svm) as (client, _):
        picture_id = (await added(client)).picture_id
        await ended(client, picture_id)
        await run_sql(database_url, "UPDATE face SET tried_time = 'infinity'")
        svm.result.faces[1].embedding.values[:] = [4, 3]
        await client.RecognizePicture(lib.RecognizePictureRequest(picture_id=picture_id))
        await shown_when(client, picture_id, lambda shown: len(shown.answers) == 2)
    assert [row[3] for row in await rows(database_url, VECTORS)] == ["[1,2]", "[4,3]"]
    tried = "SELECT tried_time = 'infinity' FROM face ORDER BY position"
    assert [bool(one) for (one,) in await rows(database_url, tried)] == [True, False]


BAD = {
    "infinite": [float("inf"), 1.0],
    "no number": [float("nan"), 1.0],
    "too large for half a precision": [1e6, 1.0],
    "zero": [0.0, 0.0],
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_some_numbers_are_no_vector(values: list[float]) -> None:
    """Numbers that are none or do not fit, and the zero vector, cannot be compared."""
    assert not is_usable(pb.Embedding(values=values))
    assert is_usable(pb.Embedding(values=[0.0, -1.0]))


async def test_what_is_no_vector_is_left_out(database_url: str, tmp_path: Path) -> None:
    """What cannot be compared, and what has another length, is left out; the picture and other vectors are kept."""
    svm = embedding("svm", embedded(LEFT, [1, 2]), embedded(RIGHT, [1, 2, 3]))
    other = embedding("other", embedded(LEFT, [0, 0], version="2"), embedded(RIGHT, [1], metric="hamming"))
    async with library_of(database_url, tmp_path, svm, other) as (client, _):
        shown = await ended(client, (await added(client)).picture_id)
    assert shown.state == lib.PICTURE_STATE_RECOGNIZED
    assert [row[3] for row in await rows(database_url, VECTORS)] == ["[1,2]"]


async def test_a_second_attempt_pays_nobody_again(database_url: str, tmp_path: Path) -> None:
    """While a recognizer fails, one that costs money is asked once, and each answer is kept once."""
    paid = Scripted("paid", result=result("paid", face(LEFT, "Anna"), cost_micro_usd=1000))
    svm, away = embedding("svm", embedded(LEFT, [1, 2])), Scripted("away", error=DependencyUnavailable("away"))
    async with library_of(database_url, tmp_path, paid, svm, away) as (client, _):
        picture_id = (await added(client)).picture_id
        await shown_when(client, picture_id, lambda shown: shown.job.attempts == 2)
        away.error = None
        shown = await ended(client, picture_id)
        shown = (await client.GetPicture(lib.GetPictureRequest(picture_id=picture_id))).picture
    assert sorted(one.result.recognizer for one in shown.answers) == ["away", "paid", "svm"]
    assert (len(paid.calls), len(svm.calls) > 1, shown.cost_micro_usd) == (1, True, 1000)
    assert [row[3] for row in await rows(database_url, VECTORS)] == ["[1,2]"]
