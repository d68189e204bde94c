"""Tests of `marquee people show` and `marquee remove --face`, with a real recognizer and gateway."""

import hashlib
import json
from datetime import datetime

import pytest

from marquee import Client
from tests.support.client import lines_of, marquee
from tests.support.enrollment_servers import EnrollmentServers, more_portraits

PICTURES = more_portraits(2)
DIGESTS = [hashlib.sha256(picture).hexdigest() for picture in PICTURES]
IDS = [digest[:32] for digest in DIGESTS]


@pytest.fixture(autouse=True)
def _ada(request: pytest.FixtureRequest) -> None:
    """Enroll Ada from two pictures if the test has servers."""
    if "servers" in request.fixturenames:
        with Client(request.getfixturevalue("servers").svm) as client:
            client.enroll(PICTURES, person_id="ada", display_name="Ada Lovelace", allow_similar=True)


def _face_ids(servers: EnrollmentServers) -> list[str]:
    with Client(servers.svm) as client:
        return [face.face_id for face in client.list_faces("ada")[0].faces]


def test_faces_are_one_table(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The table has each face's short id, origin and time, and which recognizers were skipped."""
    result = marquee("people", "show", "ada")
    title, header, first, second, skipped = lines_of(result)
    assert (result.exit_code, title, header) == (0, "Ada Lovelace ada", "Recognizer Face From Enrolled")
    for line, face_id, digest in zip((first, second), IDS, DIGESTS, strict=True):
        assert line.startswith(f"svm {face_id[:8]} sha256 {digest[:12]} {datetime.now().astimezone():%Y-%m-}")
    assert skipped == "mute skipped: mute does not enroll."


def test_json_has_all_fields(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The JSON is a list with a result per recognizer."""
    svm, mute = json.loads(marquee("people", "show", "ada", "-o", "json").stdout)
    assert (svm["person"]["display_name"], mute["outcome"]) == ("Ada Lovelace", "SKIPPED")
    assert [(face["face_id"], face["content_sha256"]) for face in svm["faces"]] == list(zip(IDS, DIGESTS, strict=True))


def test_people_without_faces_are_told_from_strangers(servers: EnrollmentServers) -> None:
    """Trained people have no faces to show; nobody at all is an error, and so is a recognizer that fails."""
    trained, nobody = marquee("people", "show", "grace-hopper"), marquee("people", "show", "nobody")
    assert (trained.exit_code, lines_of(trained)[0]) == (
        0,
        "svm was trained on Grace Hopper, too: those faces have no id.",
    )
    assert (nobody.exit_code, nobody.stderr) == (
        1,
        "Nobody is known as nobody. `marquee people` lists the known people.\n",
    )
    broken = marquee("people", "show", "ada", "--address", servers.broken)
    assert (broken.exit_code, broken.stderr) == (1, "gone error: gone does not answer.\n")


def test_options_of_show_follow_it() -> None:
    """An option before `show`, which would not see it, is a usage error."""
    result = marquee("people", "-o", "json", "show", "ada")
    assert (result.exit_code, "give it after show" in result.stderr) == (2, True)


@pytest.mark.parametrize("name", [IDS[0], IDS[0][:8], f"svm:{IDS[0]}", f"svm:{IDS[0][:8]}"])
def test_a_face_is_removed_by_its_id(servers: EnrollmentServers, name: str) -> None:
    """The id may be whole or as shown, after its recognizer or not; a second removal finds none and exits with 1."""
    result = marquee("remove", "ada", "--face", name, "--yes")
    assert (result.exit_code, lines_of(result)) == (0, ["svm removed 1 face of ada"])
    assert _face_ids(servers) == IDS[1:]
    again = marquee("remove", "ada", "--face", name, "--yes")
    assert again.exit_code == 1
    assert again.stderr == f"ada has no face {name}. `marquee people show ada` lists the faces.\n"


def test_faces_are_removed_together(servers: EnrollmentServers) -> None:
    """Both options repeat and combine; whoever has no face left is no longer known, which is said."""
    result = marquee("remove", "ada", "--face", IDS[0], "--sha256", DIGESTS[1].upper(), "-y", "-o", "json")
    assert result.exit_code == 0
    (svm, *_) = json.loads(result.stdout)["results"]
    assert [face["removed_faces"] for face in svm["faces"]] == [1, 1]
    assert result.stderr == "svm: ada has no face left and is no longer known.\n"
    assert _face_ids(servers) == []


def test_a_picture_that_is_not_enrolled_is_an_error(servers: EnrollmentServers) -> None:
    """It is named, and the exit code is 1; the others' faces are removed all the same."""
    result = marquee("remove", "ada", "--sha256", DIGESTS[0], "--sha256", "0" * 64, "-y")
    assert (result.exit_code, lines_of(result)) == (1, ["svm removed 1 face of ada"])
    assert result.stderr == f"ada has no face of the picture {'0' * 64}. `marquee people show ada` lists the faces.\n"
    assert _face_ids(servers) == IDS[1:]


def test_only_the_persons_faces_are_removed(servers: EnrollmentServers) -> None:
    """Nothing is removed if one of the names is wrong, nor by another person's id."""
    assert marquee("remove", "ada", "--face", IDS[0], "--face", "0000", "-y").exit_code == 1
    assert marquee("remove", "grace-hopper", "--face", IDS[0], "-y").exit_code == 1
    assert marquee("remove", "grace-hopper", "--sha256", DIGESTS[0], "-y").exit_code == 1
    assert _face_ids(servers) == IDS


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--face", IDS[0]], "pass --yes"), (["--sha256", "0", "-y"], "64 hexadecimal digits")],
)
def test_a_wrong_option_is_a_usage_error(servers: EnrollmentServers, options: list[str], message: str) -> None:
    """Without a terminal --yes is needed, and a SHA-256 has to be one."""
    result = marquee("remove", "ada", *options)
    assert (result.exit_code, message in result.stderr) == (2, True)
    assert _face_ids(servers) == IDS
