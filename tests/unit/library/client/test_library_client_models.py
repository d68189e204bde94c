"""Similar faces, models and the index on the command line and from Python, of faces with vectors."""

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import marquee
from bench.library.synthetic import Crowd
from tests.support.client import Result, lines_of
from tests.support.client import marquee as command
from tests.support.library import library_server
from tests.support.library_grouping import ASSIGN_AND_SUGGEST, face_id, fill
from tests.support.servers import picture


@pytest.fixture
async def address(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve a library with faces of a few people at MARQUEE_LIBRARY_ADDRESS, whose gateway is away."""
    await fill(database_url, [Crowd(4, 0.01).faces(40)], distances=ASSIGN_AND_SUGGEST)
    monkeypatch.chdir(tmp_path)
    with capture_logs():
        async with library_server(database_url, tmp_path / "store", "localhost:1", library_workers=0) as address:
            monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", address)
            yield address


async def _library(*arguments: str) -> Result:
    return await asyncio.to_thread(command, "library", *arguments)


@pytest.mark.usefixtures("address")
async def test_similar_faces_are_nearest_first() -> None:
    """At most so many, at most so far, and in pictures that a query finds; a file that is not there is told."""
    face = str(face_id(0))
    found = lines_of(await _library("people", "similar", face, "-n", "3"))
    assert found[0].split() == ["Face", "Person", "Score", "By", "Distance", "Picture"]
    assert found[-1] == "3 faces, compared with all, by the vectors of synthetic 1"
    near = json.loads((await _library("people", "similar", face, "--max-distance", "0.9", "-o", "json")).stdout)
    distances = [one["distance"] for one in near["faces"]]
    assert distances == sorted(distances)
    assert max(distances) <= 0.9
    assert lines_of(await _library("people", "similar", face, "--label", "Boat"))[0] == "No face fits."
    missing = await _library("people", "similar", "--like-picture", "missing.jpg")
    assert (missing.exit_code, missing.stderr) == (1, "missing.jpg: No such file or directory\n")
    assert (await _library("people", "similar", face, "--like-person", "Anna")).exit_code == 2


@pytest.mark.usefixtures("address")
async def test_models_are_listed_used_and_compared() -> None:
    """With their bands and how many faces they have; one that there is not is an error of its own."""
    header, row = lines_of(await _library("people", "models"))
    assert header == "Model Name Version Metric Faces Assign Suggest From Used"
    assert row.split()[1:5] == ["synthetic", "1", "l2", "40"]
    assert row.endswith("yes")
    number = row.split()[0]
    used = await _library("people", "use-model", number)
    assert lines_of(used) == ["People are compared by synthetic 1 from now on, of 40 faces."]
    for face in (0, 1):
        await _library("people", "create", f"Person {face}", "--face", str(face_id(face)))
    compared = json.loads((await _library("people", "compare", number, "-o", "json")).stdout)
    assert compared["better_count"] == compared["worse_count"] == 0
    missing = await _library("people", "use-model", "99", "-o", "json")
    assert json.loads(missing.stdout)["error"]["reason"] == "MODEL_NOT_FOUND"


@pytest.mark.usefixtures("address")
async def test_the_index_is_measured() -> None:
    """How many of the nearest it finds, and how long that takes."""
    lines = lines_of(await _library("check-index", "--faces", "10", "--neighbours", "5"))
    assert lines[0] == "100.0% of the 5 nearest are found, for 10 faces of synthetic 1:"
    assert "ms by the index" in lines[1]


async def test_similar_faces_are_found_from_python(address: str) -> None:
    """A picture of somebody cannot be compared while the gateway is away; all else can."""
    async with marquee.AsyncPeopleClient(address) as people:
        with pytest.raises(marquee.Unavailable):
            await people.similar(source=picture(), timeout=10)
        assert [model.name for model in (await people.models()).models] == ["synthetic"]
        check = await people.check_index(10, 5)
        assert (check.recall, check.sample_size, check.neighbour_count) == (1, 10, 5)
        near = await people.similar(str(face_id(0)), limit=4)
        assert [row["distance"] for row in near.rows()] == [face.distance for face in near.faces]


async def test_decisions_are_exported_whole_or_not_at_all(address: str, tmp_path: Path) -> None:
    """A tar file appears under its name once it is whole; it has the faces that were decided and have pictures."""
    exported = await _library("people", "export-decisions", "-o", "faces.tar")
    assert (exported.exit_code, exported.stderr) == (0, "0 faces in faces.tar\n")
    with tarfile.open("faces.tar") as file:
        assert file.getnames() == []
    async with marquee.AsyncPeopleClient(address) as people:
        assert await people.export_decisions(tmp_path / "calibration.tar", "calibration") == 0
    failed = await _library("people", "export-decisions", "-o", "no/faces.tar")
    assert (failed.exit_code, failed.stderr) == (1, "no/faces.tar: No such file or directory\n")
