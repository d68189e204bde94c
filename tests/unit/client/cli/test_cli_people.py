"""Tests of `marquee people` and `marquee remove`, with a real recognizer and gateway."""

import json
import os
import pty
import sys
from datetime import datetime
from pathlib import Path

import pytest

from marquee import Client
from tests.support.client import lines_of, marquee
from tests.support.enrollment_servers import EnrollmentServers, more_portraits
from tests.support.processes import ROOT, run


@pytest.fixture(autouse=True)
def _ada(request: pytest.FixtureRequest) -> None:
    """Enroll Ada from two pictures if the test has servers."""
    if "servers" in request.fixturenames:
        with Client(request.getfixturevalue("servers").svm) as client:
            client.enroll(more_portraits(2), person_id="ada", display_name="Ada Lovelace", allow_similar=True)


def _person_ids(servers: EnrollmentServers) -> list[str]:
    with Client(servers.svm) as client:
        return [person.person_id for person in client.people()[0].people]


def test_people_are_one_table(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The table, sorted by ID, has each person's enrolled faces, training and date, and skipped recognizers."""
    result = marquee("people")
    header, ada, collins, hopper, skipped = lines_of(result)
    assert result.exit_code == 0
    assert header == "Person ID Faces in svm Trained Since"
    assert ada.startswith(f"Ada Lovelace ada 2 {datetime.now().astimezone():%Y-%m-%d}")
    assert (collins, hopper) == ("Eileen Collins eileen-collins 0 svm", "Grace Hopper grace-hopper 0 svm")
    assert skipped == "mute skipped: mute does not enroll."


def test_a_recognizer_that_fails_makes_the_list_incomplete(servers: EnrollmentServers) -> None:
    """The others' people are listed, the failure is on standard error, and the exit code is 1."""
    result = marquee("people", "--address", servers.broken)
    assert result.exit_code == 1
    assert len(lines_of(result)) == 4
    assert result.stderr == "gone error: gone does not answer.\n"
    assert marquee("people", "--address", servers.broken, "--recognizer", "svm").exit_code == 0


def test_json_has_a_list_per_recognizer(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The JSON has all fields of ListPeople."""
    svm, mute = json.loads(marquee("people", "-o", "json").stdout)
    assert [(one["person_id"], one["face_count"], one["trained"]) for one in svm["people"]] == [
        ("ada", 2, False),
        ("eileen-collins", 0, True),
        ("grace-hopper", 0, True),
    ]
    assert (mute["recognizer"], mute["outcome"]) == ("mute", "SKIPPED")


@pytest.mark.parametrize("command", [["people"], ["remove", "ada", "--yes"]])
def test_no_server_exits_with_3(command: list[str]) -> None:
    """A missing server gives the same exit code and message as for `marquee recognize`."""
    result = marquee(*command, "--address", "127.0.0.1:1")
    assert result.exit_code == 3
    assert "Cannot connect to 127.0.0.1:1" in result.stderr


def test_remove_reports_how_many_faces_it_removed(servers: EnrollmentServers) -> None:
    """The first removal exits with 0; a second finds nobody and exits with 1 and advice."""
    result = marquee("remove", "ada", "--yes")
    assert (result.exit_code, lines_of(result)) == (
        0,
        ["svm removed 2 faces of ada", "mute skipped: mute does not enroll."],
    )
    assert _person_ids(servers) == ["eileen-collins", "grace-hopper"]
    again = marquee("remove", "ada", "--yes")
    assert again.exit_code == 1
    assert "Nobody is enrolled as ada. `marquee people`" in again.stderr


def test_a_person_from_the_training_data_stays_known(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The exit code is 1 for a person from the training data, even if enrolled faces were removed."""
    result = marquee("remove", "grace-hopper", "-y")
    assert result.exit_code == 1
    assert result.stderr == "svm: grace-hopper is part of the trained model and stays known. Train without them.\n"


def test_a_partial_removal_should_be_repeated(servers: EnrollmentServers) -> None:
    """If one recognizer fails, the exit code is 1 although the others removed the person."""
    result = marquee("remove", "ada", "-y", "--address", servers.broken)
    assert result.exit_code == 1
    assert lines_of(result)[0] == "svm removed 2 faces of ada"
    assert result.stderr == "gone error: gone does not answer. It is safe to run this again.\n"


def test_remove_as_json_is_the_whole_response(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The JSON is one object with all results."""
    output = json.loads(marquee("remove", "ada", "-y", "-o", "json").stdout)
    assert [(one["recognizer"], one["removed_faces"]) for one in output["results"]] == [("svm", 2), ("mute", 0)]


def test_without_a_terminal_remove_needs_yes(servers: EnrollmentServers) -> None:
    """Without --yes it is a usage error and nothing is removed; an invalid ID is a usage error too."""
    result = marquee("remove", "ada")
    assert result.exit_code == 2
    assert "pass --yes" in result.stderr
    assert "ada" in _person_ids(servers)
    assert marquee("remove", "Ada Lovelace", "-y").exit_code == 2


def test_at_a_terminal_remove_asks(servers: EnrollmentServers) -> None:
    """The question names the person, and only yes removes them."""
    code, stderr = _at_a_terminal("remove", "ada", answer="n\n")
    assert code == 1
    assert "Remove Ada Lovelace (2 faces in svm)? [y/N]" in stderr
    assert "ada" in _person_ids(servers)
    assert _at_a_terminal("remove", "ada", answer="y\n")[0] == 0
    assert "ada" not in _person_ids(servers)


def _at_a_terminal(*arguments: str, answer: str) -> tuple[int, str]:
    """Run the command at a terminal; return its exit code and standard error."""
    person, terminal = pty.openpty()
    try:
        os.write(person, answer.encode())
        command = [sys.executable, "-m", "marquee", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        result = run(command, stdin=terminal, env=environment, cwd=Path.cwd())
    finally:
        os.close(person)
        os.close(terminal)
    return result.returncode, result.stderr
