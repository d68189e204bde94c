"""Tests of `marquee enroll`, with a real recognizer and gateway."""

import json
import shutil
from pathlib import Path

import pytest

from marquee import Client
from marquee.cli.run.enroll import MAX_PICTURES
from marquee.sources import MAX_IMAGE_BYTES
from tests.support.client import lines_of, marquee
from tests.support.enrollment_servers import EnrollmentServers, more_portraits

HOPPER = ("--person-id", "grace-hopper")

pytestmark = pytest.mark.usefixtures("portraits_here")


def test_the_table_shows_the_result_of_each_picture(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The table shows each picture's result, the enrolled faces, and the recognizers that do not enroll."""
    assert marquee("enroll", "hopper.jpg", *HOPPER).exit_code == 0
    Path("other.jpg").write_bytes(more_portraits(1)[0])
    result = marquee("enroll", "hopper.jpg", "both.jpg", "other.jpg", *HOPPER)
    assert result.exit_code == 1
    assert lines_of(result) == [
        "Grace Hopper grace-hopper",
        "Picture Recognizer Result",
        "hopper.jpg svm already enrolled",
        "both.jpg svm refused: There are 2 faces in the picture. Crop it to the person's face.",
        "other.jpg svm enrolled",
        "svm has 2 enrolled faces of Grace Hopper, in addition to its training data",
        "mute skipped: mute does not enroll.",
        "",
    ]
    assert "\x1b" not in result.stdout


def test_a_new_person_gets_an_id_from_the_name(servers: EnrollmentServers) -> None:
    """The option --name determines the person_id; --allow-similar accepts another person's face."""
    assert marquee("enroll", "hopper.jpg", "--name", "Ada Lovelace", "--allow-similar").exit_code == 0
    with Client(servers.svm) as client:
        people = {person.person_id: person for person in client.people()[0].people}
    assert (people["ada-lovelace"].display_name, people["ada-lovelace"].face_count) == ("Ada Lovelace", 1)


def test_another_persons_face_is_refused_with_advice(servers: EnrollmentServers) -> None:
    """The message suggests the command's options, with and without a gateway."""
    for address in (servers.gateway, servers.svm):
        result = marquee("enroll", "hopper.jpg", "--name", "Ada", "--address", address)
        assert result.exit_code == 1
        assert "already enrolled as Grace Hopper (grace-hopper)" in result.stdout
        assert "--person-id grace-hopper" in result.stdout
        assert "--allow-similar" in result.stdout


def test_a_taken_name_is_refused_with_advice(servers: EnrollmentServers) -> None:
    """The message suggests the command's options; --allow-different enrolls the face."""
    ada = ("--name", "Ada", "--allow-similar")
    assert marquee("enroll", "hopper.jpg", *ada).exit_code == 0
    for address in (servers.gateway, servers.svm):
        result = marquee("enroll", "collins.jpg", *ada, "--address", address)
        assert result.exit_code == 1
        assert "this face does not match those of Ada (ada)" in result.stdout
        assert "use --person-id ada or --allow-different; if not, use another --person-id." in result.stdout
    assert marquee("enroll", "collins.jpg", *ada, "--allow-different").exit_code == 0


def test_refused_pictures_are_reported_one_by_one(servers: EnrollmentServers) -> None:
    """Each refused picture has its own reason, and nothing is written to standard error."""
    for address in (servers.gateway, servers.broken):
        result = marquee("enroll", "both.jpg", "coffee.jpg", "--name", "Ada", "--address", address)
        assert result.exit_code == 1
        assert "both.jpg svm refused: There are 2 faces in the picture. Crop it to the person's face." in lines_of(
            result
        )
        assert any(line.startswith("coffee.jpg svm refused: There is no face") for line in lines_of(result))
        assert result.stderr == ""


def test_a_picture_that_cannot_be_read_fails_alone(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """An unreadable picture is reported in its own row, and the others are enrolled."""
    Path("empty.jpg").touch()
    Path("large.jpg").write_bytes(bytes(MAX_IMAGE_BYTES + 1))
    result = marquee("enroll", "hopper.jpg", "empty.jpg", "large.jpg", *HOPPER)
    assert result.exit_code == 1
    assert lines_of(result)[2:4] == ["hopper.jpg svm enrolled", "empty.jpg refused: the file is empty."]
    assert lines_of(result)[4].startswith("large.jpg refused: the file exceeds the limit of 15 MiB")


def test_a_failed_recognizer_is_reported_with_exit_code_1(servers: EnrollmentServers) -> None:
    """A failed recognizer is reported, and the other recognizer's enrollments are kept."""
    result = marquee("enroll", "hopper.jpg", *HOPPER, "--address", servers.broken)
    assert result.exit_code == 1
    assert "hopper.jpg svm enrolled" in lines_of(result)
    assert "gone error: gone does not answer." in lines_of(result)


def test_many_pictures_of_one_person_make_one_table(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """All pictures are enrolled and shown in one table, however many calls that takes."""
    for number, picture in enumerate(more_portraits(MAX_PICTURES + 1)):
        Path(f"{number}.jpg").write_bytes(picture)
    result = marquee("enroll", *(f"{number}.jpg" for number in range(MAX_PICTURES + 1)), *HOPPER)
    assert result.exit_code == 0
    assert sum(line.endswith("svm enrolled") for line in lines_of(result)) == MAX_PICTURES + 1
    assert lines_of(result).count("Picture Recognizer Result") == 1
    faces = f"{MAX_PICTURES + 1} enrolled faces of Grace Hopper"
    assert f"svm has {faces}, in addition to its training data" in lines_of(result)


def test_a_face_unlike_the_others_is_reported(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The question about a face unlike the person's others follows the picture to check."""
    result = marquee("enroll", "collins.jpg", "hopper.jpg", "--name", "Two", "--allow-similar")
    assert result.exit_code == 0
    assert lines_of(result)[2:5] == [
        "collins.jpg svm enrolled",
        "hopper.jpg svm enrolled",
        "This face looks unlike the person's others. Does it show them?",
    ]


def test_json_has_pictures_and_recognizers(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """The output has one JSON object per person, each on one line if there are several people."""
    output = json.loads(marquee("enroll", "hopper.jpg", "both.jpg", *HOPPER, "-o", "json").stdout)
    assert (output["person_id"], output["display_name"], output["errors"]) == ("grace-hopper", "Grace Hopper", [])
    assert [(one["picture"], [face["state"] for face in one["faces"]]) for one in output["pictures"]] == [
        ("hopper.jpg", ["ENROLLED"]),
        ("both.jpg", ["REFUSED"]),
    ]
    assert [(one["recognizer"], one["outcome"]) for one in output["recognizers"]] == [
        ("svm", "PARTIAL"),
        ("mute", "SKIPPED"),
    ]
    for folder in ("Ada", "Bea"):
        Path(folder).mkdir()
        shutil.copy("coffee.jpg", folder)
    several = marquee("enroll", "Ada", "Bea", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["display_name"] for line in several] == ["Ada", "Bea"]


def test_without_pictures_a_person_is_renamed(servers: EnrollmentServers) -> None:
    """Without pictures, --name renames the person that --person-id names, and does not create one."""
    assert marquee("enroll", *HOPPER, "--name", "Adm. Hopper").exit_code == 0
    with Client(servers.svm) as client:
        names = [person.display_name for person in client.people()[0].people]
    assert names == ["Eileen Collins", "Adm. Hopper"]
    result = marquee("enroll", "--person-id", "nobody", "--name", "Nobody")
    assert result.exit_code == 1
    assert result.stderr.startswith("Nobody: There is no person with person_id nobody.")
