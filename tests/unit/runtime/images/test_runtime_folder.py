"""Tests of folders of labelled pictures, as people and their systems leave them."""

import os
from pathlib import Path

import pytest
from PIL import Image as Pillow

from services.runtime.images.folder import HIDDEN, LeftOut, labelled_pictures, lines


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "anna").mkdir()
    for name in ("1.jpg", "2.PNG", "3"):
        Pillow.new("RGB", (8, 8)).save(tmp_path / "anna" / name, "PNG")
    return tmp_path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("anna/Thumbs.db", b"\xd0\xcf\x11\xe0", HIDDEN),
        ("anna/desktop.ini", b"[x]", HIDDEN),
        ("anna/.DS_Store", b"Bud1", HIDDEN),
        ("anna/._1.jpg", b"\0\5\x16\7", HIDDEN),
        ("anna/IMG.jpg.json", b"{}", "This is a text file"),
        ("anna/IMG.xmp", b"<x:xmpmeta/>", "This is a text file"),
        ("anna/a.heic", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "This is a HEIC picture; convert it"),
        ("anna/a.gif", b"GIF89a", "This is a GIF picture; convert it"),
        ("anna/a.jpg", b"", "The picture has 0 bytes"),
        ("anna/b.jpg", b"\xff\xd8\xff" + bytes(15 * 2**20), "the limit is"),
        ("readme.jpg", b"\xff\xd8\xff", "not in the folder of a label"),
    ],
)
def test_a_file_that_is_no_picture_is_left_out(folder: Path, name: str, content: bytes, reason: str) -> None:
    """What is no picture by its name, content, size or place is listed, and the pictures are found as before."""
    before, _ = labelled_pictures(folder)
    _write(folder / name, content)
    pictures, left_out = labelled_pictures(folder)
    assert pictures == before == {"anna": [folder / "anna" / one for one in ("1.jpg", "2.PNG", "3")]}
    assert [one.name for one in left_out] == [name]
    assert reason in left_out[0].reason


@pytest.mark.parametrize("name", ["__MACOSX", ".git", "anna/.ipynb_checkpoints", "anna/@eaDir"])
def test_a_hidden_folder_is_one_entry(folder: Path, name: str) -> None:
    """A folder that a system keeps is not looked into."""
    for number in range(3):
        _write(folder / name / f"{number}.jpg", b"\xff\xd8\xff")
    assert labelled_pictures(folder)[1] == [LeftOut(Path(name), HIDDEN)]


def test_links_are_followed_once(folder: Path) -> None:
    """A link to pictures elsewhere is followed; one in a circle, to itself or to nothing is listed."""
    (folder / "elsewhere").mkdir()
    (folder / "anna" / "1.jpg").rename(folder / "elsewhere" / "1.jpg")
    for name, target in (
        ("more", folder / "elsewhere"),
        ("up", folder),
        ("here", "."),
        ("self", "self"),
        ("no", "no!"),
    ):
        (folder / "anna" / name).symlink_to(target)
    pictures, left_out = labelled_pictures(folder)
    assert [path.name for path in pictures["anna"]] == ["2.PNG", "3", "1.jpg"]
    assert [one.name for one in left_out] == ["anna/here", "anna/no", "anna/self", "anna/up"]


def test_a_pipe_is_not_opened(folder: Path) -> None:
    """A named pipe, which would block whoever opens it, is listed."""
    os.mkfifo(folder / "anna" / "pipe.jpg")
    assert labelled_pictures(folder)[1] == [LeftOut(Path("anna/pipe.jpg"), "not a file")]


def test_names_that_are_no_text_can_be_printed(folder: Path) -> None:
    """A picture may have any name; a label may not. Both are shown in printable characters."""
    (folder / "anna" / "3").rename(folder / "anna" / os.fsdecode(b"caf\xe9\n.jpg"))
    _write(folder / os.fsdecode(b"Jos\xe9") / "1.jpg", b"\xff\xd8\xff")
    _write(folder / "anna" / os.fsdecode(b"\xff\x1b[1m.txt"), b"words")
    pictures, left_out = labelled_pictures(folder)
    assert len(pictures["anna"]) == 3
    assert [one.name for one in left_out] == [r"Jos\xe9", r"anna/\xff\x1b[1m.txt"]


def test_an_empty_folder_is_listed(folder: Path) -> None:
    """A label without anything in it is named."""
    (folder / "bea").mkdir()
    assert labelled_pictures(folder)[1] == [LeftOut(Path("bea"), "an empty folder")]


def test_many_entries_are_counted() -> None:
    """Of one reason ten entries are shown, and how many more there are."""
    shown = list(lines([LeftOut(Path(f"a/{number}"), "hidden.") for number in range(12)]))
    assert shown[0] == "left out, hidden: a/0"
    assert shown[10:] == ["left out, hidden: 2 more"]
