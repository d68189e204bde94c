"""`marquee people` and `marquee remove`, against a real recognizer behind a real gateway."""

import json
import os
import pty
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from marquee import Client
from tests.support.commands import lines_of, marquee
from tests.support.enrollment_servers import EnrollmentServers, more_portraits
from tests.support.processes import ROOT


@pytest.fixture(autouse=True)
def _ada(request: pytest.FixtureRequest) -> None:
    """Ada is enrolled from two pictures, where there are servers."""
    if "servers" in request.fixturenames:
        with Client(request.getfixturevalue("servers").svm) as client:
            client.enroll(more_portraits(2), person_id="ada", display_name="Ada Lovelace", allow_similar=True)


def _known(servers: EnrollmentServers) -> list[str]:
    with Client(servers.svm) as client:
        return [person.person_id for person in client.people()[0].people]


def test_people_are_one_table(servers: EnrollmentServers) -> None:  # noqa: ARG001 - at MARQUEE_ADDRESS
    """Name, id, enrolled faces at each recognizer, whether trained, since when; by id. Who does not enroll is told."""
    ran = marquee("people")
    header, ada, collins, hopper, skipped = lines_of(ran)
    assert ran.exit_code == 0
    assert header == "Person ID Faces in svm Trained Since"
    assert ada.startswith(f"Ada Lovelace ada 2 {datetime.now().astimezone():%Y-%m-%d}")
    assert (collins, hopper) == ("Eileen Collins eileen-collins 0 svm", "Grace Hopper grace-hopper 0 svm")
    assert skipped == "mute skipped: mute does not enroll."


def test_a_recognizer_that_fails_makes_the_list_incomplete(servers: EnrollmentServers) -> None:
    """The others' people are listed, the failure stands on standard error, and the exit code is 1."""
    ran = marquee("people", "--address", servers.broken)
    assert ran.exit_code == 1
    assert len(lines_of(ran)) == 4
    assert ran.stderr == "gone error: gone does not answer.\n"
    assert marquee("people", "--address", servers.broken, "--recognizer", "svm").exit_code == 0


def test_json_is_each_recognizer_s_list(servers: EnrollmentServers) -> None:  # noqa: ARG001 - at MARQUEE_ADDRESS
    """All fields of ListPeople."""
    svm, mute = json.loads(marquee("people", "-o", "json").stdout)
    assert [(one["person_id"], one["face_count"], one["trained"]) for one in svm["people"]] == [
        ("ada", 2, False),
        ("eileen-collins", 0, True),
        ("grace-hopper", 0, True),
    ]
    assert (mute["recognizer"], mute["outcome"]) == ("mute", "SKIPPED")


@pytest.mark.parametrize("command", [["people"], ["remove", "ada", "--yes"]])
def test_no_server_exits_with_3(command: list[str]) -> None:
    """The same exit code and words as for a picture."""
    ran = marquee(*command, "--address", "127.0.0.1:1")
    assert ran.exit_code == 3
    assert "Cannot connect to 127.0.0.1:1" in ran.stderr


def test_remove_tells_how_many_faces_are_forgotten(servers: EnrollmentServers) -> None:
    """Exit code 0; a second time there is nobody, which is 1 and says where to look."""
    ran = marquee("remove", "ada", "--yes")
    assert (ran.exit_code, lines_of(ran)) == (0, ["svm removed 2 faces of ada", "mute skipped: mute does not enroll."])
    assert _known(servers) == ["eileen-collins", "grace-hopper"]
    again = marquee("remove", "ada", "--yes")
    assert again.exit_code == 1
    assert "Nobody is enrolled as ada. `marquee people`" in again.stderr


def test_who_stays_known_from_training_is_told(servers: EnrollmentServers) -> None:  # noqa: ARG001 - at MARQUEE_ADDRESS
    """Exit code 1, also where enrolled faces were forgotten."""
    ran = marquee("remove", "grace-hopper", "-y")
    assert ran.exit_code == 1
    assert ran.stderr == "svm: grace-hopper is part of the trained model and stays known. Train without them.\n"


def test_a_removal_that_one_recognizer_missed_is_to_be_repeated(servers: EnrollmentServers) -> None:
    """Exit code 1, though the others forgot."""
    ran = marquee("remove", "ada", "-y", "--address", servers.broken)
    assert ran.exit_code == 1
    assert lines_of(ran)[0] == "svm removed 2 faces of ada"
    assert ran.stderr == "gone error: gone does not answer. It is safe to run this again.\n"


def test_remove_as_json_is_the_whole_answer(servers: EnrollmentServers) -> None:  # noqa: ARG001 - at MARQUEE_ADDRESS
    """One object."""
    told = json.loads(marquee("remove", "ada", "-y", "-o", "json").stdout)
    assert [(one["recognizer"], one["removed_faces"]) for one in told["results"]] == [("svm", 2), ("mute", 0)]


def test_away_from_a_terminal_remove_needs_yes(servers: EnrollmentServers) -> None:
    """Nobody can be asked: wrong usage, and nothing is removed. So is an id that cannot be one."""
    ran = marquee("remove", "ada")
    assert ran.exit_code == 2
    assert "pass --yes" in ran.stderr
    assert "ada" in _known(servers)
    assert marquee("remove", "Ada Lovelace", "-y").exit_code == 2


def test_at_a_terminal_remove_asks(servers: EnrollmentServers) -> None:
    """The question tells who it is; only yes removes."""
    code, said = _at_a_terminal("remove", "ada", answer="n\n")
    assert code == 1
    assert "Remove Ada Lovelace (2 faces in svm)? [y/N]" in said
    assert "ada" in _known(servers)
    assert _at_a_terminal("remove", "ada", answer="y\n")[0] == 0
    assert "ada" not in _known(servers)


def _at_a_terminal(*arguments: str, answer: str) -> tuple[int, str]:
    """The exit code, and what stands on standard error."""
    person, terminal = pty.openpty()
    try:
        os.write(person, answer.encode())
        command = [sys.executable, "-m", "marquee", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        ran = subprocess.run(
            command, stdin=terminal, capture_output=True, text=True, check=False, env=environment, cwd=Path.cwd()
        )
    finally:
        os.close(person)
        os.close(terminal)
    return ran.returncode, ran.stderr
