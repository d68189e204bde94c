"""Questions, clusters and explanations on the command line, of faces with vectors."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bench.library.synthetic import Crowd
from tests.support.client import Result, lines_of, marquee
from tests.support.library import library_server
from tests.support.library_grouping import ASSIGN_AND_SUGGEST, fill, looked
from tests.support.processes import ROOT, run


@pytest.fixture
async def url(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve a library with grouped faces of a few people at MARQUEE_LIBRARY_ADDRESS; yield its database's URL."""
    await fill(database_url, [Crowd(4, 0.01).faces(60)], distances=ASSIGN_AND_SUGGEST)
    with capture_logs():
        async with library_server(database_url, tmp_path / "store", "localhost:1", library_workers=0) as address:
            monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", address)
            await looked(database_url)
            yield database_url


async def _people(*arguments: str) -> Result:
    return await asyncio.to_thread(marquee, "library", "people", *arguments)


def _at_a_terminal(answer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    person, terminal = pty.openpty()
    try:
        os.write(person, answer.encode())
        command = [sys.executable, "-m", "marquee", "library", "people", *arguments]
        return run(command, stdin=terminal, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=Path.cwd())
    finally:
        os.close(person)
        os.close(terminal)


@pytest.mark.usefixtures("url")
async def test_questions_are_answered_at_a_terminal() -> None:
    """A key answers, u takes the last answer back, and a group's name is typed."""
    asked = await asyncio.to_thread(_at_a_terminal, "x\nk\nu\ns\nAnna\nq\n", "suggest")
    assert asked.returncode == 0, asked.stderr
    lines = [line.strip() for line in asked.stdout.splitlines()]
    questions = [line.split("  names ") for line in lines if " open" in line]
    assert [question for question, _ in questions[:3]] == ["Who is this?"] * 3
    assert questions[0] == questions[2]
    assert "Type s, n, k, u or q." in asked.stderr
    assert "The last answer is undone." in lines
    assert lines_of(await _people("list"))[1].startswith("Anna ")


async def test_questions_are_answered_by_programs(url: str) -> None:
    """Without a terminal the question is JSON, and `answer` answers it by its ID."""
    assert "pass -o json" in (await _people("suggest")).stderr
    asked = json.loads((await _people("suggest", "-o", "json")).stdout)
    question = asked["suggestion"]
    clusters = [json.loads(line) for line in (await _people("clusters", "-o", "json")).stdout.splitlines()]
    assert max(cluster["face_count"] for cluster in clusters) == question["gain"]
    named = await _people("answer", question["suggestion_id"], "same", "--name", "Anna")
    assert named.exit_code == 0, named.stderr
    faces = (await _people("faces", "--person", "Anna", "-n", "0", "-o", "ids")).stdout.split()
    assert question["face"]["face"]["face_id"] in faces
    await looked(url)
    again = json.loads((await _people("suggest", "-o", "json")).stdout)
    assert again["suggestion"] is None or again["suggestion"]["suggestion_id"] != question["suggestion_id"]
    assert (await _people("answer", question["suggestion_id"], "perhaps")).exit_code == 2


async def test_a_face_is_explained(url: str) -> None:
    """Who decided it, who is near, and what undoing that would change."""
    question = json.loads((await _people("suggest", "-o", "json")).stdout)["suggestion"]
    face_id = question["face"]["face"]["face_id"]
    await _people("name", "Anna", face_id, "--create")
    await looked(url)
    explained = await asyncio.to_thread(marquee, "library", "why", face_id)
    lines = lines_of(explained)
    assert lines[0] == f"Anna 1.00 (decided) face {face_id}"
    assert any(line.startswith("anonymous decided that this face is Anna") for line in lines)
    assert lines[-1].startswith("undo: marquee library people undo ")
    near = json.loads((await asyncio.to_thread(marquee, "library", "why", face_id, "-o", "json")).stdout)
    assert near["neighbours"]


@pytest.mark.usefixtures("url")
async def test_a_person_is_split_by_groups() -> None:
    """A person of several people's faces falls into groups, one of which moves to somebody else."""
    clusters = (await _people("clusters", "-o", "ids")).stdout.split()
    pictures: dict[str, str] = {}
    for cluster in clusters[:2]:
        found = await _people("faces", "--cluster", cluster, "-o", "json")
        faces = {one["picture_id"]: one["face"]["face_id"] for one in map(json.loads, found.stdout.splitlines())}
        pictures |= dict([one for one in faces.items() if one[0] not in pictures][:3])
    created = await _people("create", "Anna", *(part for face in pictures.values() for part in ("--face", face)))
    assert created.exit_code == 0, created.stderr
    shown = lines_of(await _people("split", "Anna"))
    assert shown[0] == "Anna: 2 groups of 6 faces"
    moved = await _people("split", "Anna", "--group", "2", "--to", "Berta")
    assert lines_of(moved)[0].endswith("got 3 faces of Anna: 3 faces, 3 decided")
    assert (await _people("split", "Anna", "--group", "2")).exit_code == 2
