"""Tests of the sources of `marquee enroll`: people and their pictures, calls, and usage errors."""

import shutil
from pathlib import Path

import pytest

from marquee import Enrollment, ImageTooLarge, ResourceExhausted
from marquee.cli.run.enroll import enroll_all
from tests.support.client import lines_of, marquee
from tests.support.enrollment_servers import EnrollmentServers

pytestmark = pytest.mark.usefixtures("portraits_here")


def test_folders_are_people(servers: EnrollmentServers) -> None:  # noqa: ARG001 - sets MARQUEE_ADDRESS
    """A folder is named after its person, other files are skipped with a note, and the last line has totals."""
    for folder, picture in (("Grace_Hopper", "hopper.jpg"), ("eileen collins", "collins.jpg")):
        Path(folder).mkdir()
        shutil.copy(picture, folder)
        shutil.copy("both.jpg", f"{folder}/both.JPG")
    Path("Grace_Hopper/notes.txt").touch()
    Path("Grace_Hopper/.hidden").touch()
    result = marquee("enroll", "Grace_Hopper/", "eileen collins")
    assert result.exit_code == 1
    lines = lines_of(result)
    assert lines[0] == "Grace Hopper grace-hopper Grace_Hopper/"
    assert lines[2].startswith("both.JPG svm refused")
    assert lines[3] == "hopper.jpg svm enrolled"
    assert "eileen collins eileen-collins eileen collins/" in lines
    assert lines[-1] == "2 people, 4 pictures: 2 enrolled, 2 refused"
    assert result.stderr == "Grace_Hopper/: skipped files that do not end in .jpg, .jpeg, .png, .webp: notes.txt\n"
    assert "".join(lines).count("mute skipped") == 1


def test_calls_stay_within_the_limits(tmp_path: Path) -> None:
    """A call has at most eight pictures and 15 MiB, in order; a picture that is too large is not sent."""
    sizes = [4, 4, 4, 4, 16, *[0.001] * 9]
    names = [str(tmp_path / f"{number}.jpg") for number in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        Path(name).write_bytes(bytes(int(size * 1024 * 1024)))
    calls = []

    def enroll(sources: object) -> Enrollment:
        calls.append(sources)
        return Enrollment("r", "p", (), "", None)

    batches = list(enroll_all(names, enroll))
    assert [[round(len(source) / 1024 / 1024) for source in sources] for sources in calls] == [
        [4, 4, 4],
        [4, *[0] * 7],
        [0, 0],
    ]
    assert sorted(picture for batch in batches for picture in batch.pictures) == sorted(names)
    assert [batch.pictures for batch in batches if isinstance(batch.answer, ImageTooLarge)] == [[names[4]]]


def test_waits_for_a_full_server(tmp_path: Path) -> None:
    """Pictures that a full server refuses are sent again when it says so; without a time, the refusal counts."""
    picture = tmp_path / "1.jpg"
    picture.write_bytes(b"a picture")
    waits = [0.01, 0.01]
    sent = []

    def enroll(sources: object) -> Enrollment:
        sent.append(sources)
        if len(sent) == 4:
            return Enrollment("r", "p", (), "", None)
        wait = waits.pop() if waits else None
        raise ResourceExhausted("Full.", code="RESOURCE_EXHAUSTED", retry_after=wait)

    assert isinstance(next(enroll_all([str(picture)], enroll)).answer, ResourceExhausted)
    assert isinstance(next(enroll_all([str(picture)], enroll)).answer, Enrollment)
    assert sent == [[b"a picture"]] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("hopper.jpg", "who is in the pictures"),
        ("--name Ada", "give pictures"),
        ("no.jpg --name Ada", "no.jpg is not a file"),
        ("- - --name Ada", "only once"),
        ("empty", "empty has no pictures"),
        ("people", "people/*/"),
        ("people/ada hopper.jpg", "of one person each"),
        ("people/ada people/bea --name Ada", "not 2"),
        ("people/ada people/ADA", "have the same name"),
        ("hopper.jpg --name Ada --timeout 0", "greater than 0"),
    ],
)
def test_a_usage_error_exits_with_2_and_says_what_to_do(arguments: str, message: str) -> None:
    """A usage error is found before any call: the test has no server."""
    Path("empty").mkdir()
    for name in ("ada", "bea", "ADA"):
        Path("people", name).mkdir(parents=True)
        shutil.copy("hopper.jpg", Path("people", name))
    result = marquee("enroll", *arguments.split(), "--address", "127.0.0.1:1")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--recognizer x", 2, "There is no recognizer 'x' here"),
        ("--recognizer mute", 1, "mute does not enroll"),
        ("--address 127.0.0.1:1", 3, "Cannot connect to 127.0.0.1:1"),
    ],
)
def test_an_error_that_affects_everybody_is_reported_once(
    servers: EnrollmentServers,  # noqa: ARG001 - sets MARQUEE_ADDRESS
    arguments: str,
    code: int,
    message: str,
) -> None:
    """The first failed call ends the command with its exit code and nothing on standard output."""
    for folder in ("Ada", "Bea"):
        Path(folder).mkdir()
        shutil.copy("hopper.jpg", folder)
    result = marquee("enroll", "Ada", "Bea", *arguments.split())
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
