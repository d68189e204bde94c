"""Tests of what `marquee recognize` and `marquee cost` take: folders, lists, and files that are none."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Peer, marquee, serving, two_people


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with serving(Peer(answer=two_people())) as peer:
        yield peer


@pytest.fixture(autouse=True)
def folder(peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make the working directory one with a folder of pictures and other files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARQUEE_ADDRESS", peer.address)
    for name in ("b.JPG", "a.png", "sub/c.webp", "notes.txt", "IMG_1.HEIC", ".hidden.jpg", ".cache/d.jpg"):
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Path("photos", name).write_bytes(b"picture")
    os.mkfifo("photos/fifo.jpg")
    Path("photos/gone.jpg").symlink_to("nowhere")
    Path("photos/sub/loop").symlink_to("..")
    Path("new\nline.jpg").write_bytes(b"picture")


def _files(*arguments: str, stdin: bytes | None = None) -> list[str]:
    result = marquee("recognize", *arguments, "-o", "json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["file"] for line in result.stdout.splitlines()]


FOLDER = ["photos/a.png", "photos/b.JPG", "photos/sub/c.webp"]


def test_a_folder_stands_for_its_pictures() -> None:
    """The pictures in it, at any depth, are recognized in order of name; what is hidden or a link is left out."""
    assert _files("photos") == _files("photos/") == FOLDER


def test_what_is_left_out_is_listed() -> None:
    """Standard error has a note about other files, one about hidden ones, and one about what cannot be read."""
    Path("photos/a.mov").touch()
    Path("photos/z.mov").touch()
    assert marquee("recognize", "photos").stderr.splitlines() == [
        "photos: skipped files that do not end in .jpg, .jpeg, .png, .webp: IMG_1.HEIC, a.mov, notes.txt and 1 more",
        "photos: skipped what is hidden: .cache, .hidden.jpg",
        "photos: skipped what is no file, or a link to a folder: fifo.jpg, gone.jpg, sub/loop",
    ]


def test_a_folder_of_one_picture_is_one_line() -> None:
    """Folders give one JSON object a line, however many pictures they have; a single FILE is indented."""
    assert marquee("recognize", "photos/sub", "-o", "json").stdout.count("\n") == 1
    assert marquee("recognize", "photos/a.png", "-o", "json").stdout.count("\n") > 1


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (b"photos/a.png\nphotos/b.JPG\n", "", FOLDER[:2]),
        (b"\xef\xbb\xbfphotos/a.png\r\n\r\n  \r\nphotos/b.JPG", "", FOLDER[:2]),
        (b"photos/a.png\0new\nline.jpg\0", "-0", ["photos/a.png", "new\nline.jpg"]),
        (b"photos/a.png", "--null", FOLDER[:1]),
        (b"photos\n", "", FOLDER),
        (b"photos/b.JPG\n", "photos/a.png", FOLDER[:2]),
        (b"s3://bucket/key.jpg\n", "", ["s3://bucket/key.jpg"]),
    ],
)
def test_files_come_from_a_list(content: bytes, options: str, expected: list[str]) -> None:
    """A list, or standard input, has one FILE a line or before each NUL, after those on the command line."""
    Path("list.txt").write_bytes(content)
    assert _files("--files-from", "list.txt", *options.split()) == expected
    assert _files("--files-from", "-", *options.split(), stdin=content) == expected


def test_names_in_a_list_need_not_be_utf_8() -> None:
    """A name of any bytes is found."""
    Path(os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"picture")
    assert len(_files("--files-from", "-", stdin=b"caf\xe9.jpg\n")) == 1


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ("", b"", "give pictures, folders of them, or --files-from"),
        ("--files-from -", b"\n", "give pictures, folders of them, or --files-from"),
        ("--files-from -", b"photos/a.png\0photos/b.JPG\0", "--null"),
        ("--files-from -", b"photos/none.jpg\n", "photos/none.jpg is not a file"),
        ("--files-from none.txt", b"", "none.txt: No such file"),
        ("--files-from photos", b"", "photos: Is a directory"),
        ("--files-from /dev/zero", b"", "64 MiB"),
        ("--files-from - -", b"photos/a.png\n", "only once"),
        ("empty", b"", "empty has no pictures"),
    ],
)
def test_a_list_or_folder_that_says_nothing_is_a_usage_error(arguments: str, stdin: bytes, message: str) -> None:
    """The command exits 2 before any call and says what is wrong."""
    Path("empty").mkdir()
    result = marquee("recognize", "--timeout", "9", *arguments.split(), stdin=stdin)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_cost_of_a_folder_is_that_of_its_pictures() -> None:
    """`marquee cost` counts the pictures that `marquee recognize` would recognize."""
    assert marquee("cost", "photos").stdout.startswith("3 pictures: $0.00\n")
    assert marquee("cost", "--files-from", "-", stdin=b"photos/a.png\n").stdout.startswith("1 picture: $0.00\n")


def test_devices_and_fifos_end() -> None:
    """A device without end is too large, and a FIFO into which nobody writes is empty."""
    assert marquee("recognize", "/dev/zero").stderr.startswith("/dev/zero exceeds the limit of 15 MiB")
    assert marquee("recognize", "photos/fifo.jpg").stderr == "photos/fifo.jpg is empty.\n"
    assert marquee("recognize", "/dev/null").stderr == "/dev/null is empty.\n"


def test_hundreds_of_pictures_keep_their_order(peer: Peer) -> None:
    """Pictures are started as they are printed, in order, however many there are."""
    names = [f"many/{number:03}.jpg" for number in range(300)]
    Path("many").mkdir()
    for name in names:
        Path(name).write_bytes(b"picture")
    del peer.requests[:]
    assert _files("many", "--jobs", "3") == names
    assert len(peer.requests) == len(names)
