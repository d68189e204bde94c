"""Labelled pictures, and which of them count as one."""

from pathlib import Path

import pytest

from services.gateway.evaluation.pictures import StudyError, read_pictures, weights_of
from tests.support.pictures import encode_noise
from tests.support.servers import picture


def test_folders_are_people(tmp_path: Path) -> None:
    """A folder names a person, and unknown/ has strangers."""
    _write(tmp_path, "Ada_Lovelace/1.jpg", picture())
    _write(tmp_path, "Unknown/2.jpg", picture((9, 9)))
    pictures, left_out = read_pictures(tmp_path)
    assert [(one.name, one.person) for one in pictures] == [
        ("Ada_Lovelace/1.jpg", "ada-lovelace"),
        ("Unknown/2.jpg", ""),
    ]
    assert left_out == []


def test_equal_files_are_one_moment(tmp_path: Path) -> None:
    """Copies of a file share a group, as do all files of a folder below the person's."""
    for name in ("Ada/1.jpg", "Ada/copy.jpg"):
        _write(tmp_path, name, picture())
    for side in (9, 10):
        _write(tmp_path, f"Ada/monday/{side}.jpg", picture((side, side)))
    _write(tmp_path, "Ada/other.jpg", encode_noise())
    pictures, _ = read_pictures(tmp_path)
    assert sorted(weights_of([one.group for one in pictures])) == [0.5, 0.5, 0.5, 0.5, 1]


def test_a_file_says_which_pictures_are_one_moment(tmp_path: Path) -> None:
    """Lines of a path, a tab and a group join pictures that differ."""
    for side in (8, 9):
        _write(tmp_path, f"pictures/Ada/{side}.jpg", picture((side, side)))
    (tmp_path / "groups.tsv").write_text("Ada/8.jpg\tbeach\nAda/9.jpg\tbeach\n")
    pictures, _ = read_pictures(tmp_path / "pictures", tmp_path / "groups.tsv")
    assert len({one.group for one in pictures}) == 1


def test_a_picture_of_two_people_is_left_out(tmp_path: Path) -> None:
    """A file that lies under two names is nobody's."""
    for name in ("Ada/1.jpg", "Grace/1.jpg"):
        _write(tmp_path, name, picture())
    _write(tmp_path, "Ada/2.jpg", picture((9, 9)))
    pictures, left_out = read_pictures(tmp_path)
    assert [one.name for one in pictures] == ["Ada/2.jpg"]
    assert [str(one.path) for one in left_out] == ["Ada/1.jpg", "Grace/1.jpg"]


def test_a_wrong_line_of_groups_is_named(tmp_path: Path) -> None:
    """A line without a tab is refused with its number."""
    _write(tmp_path, "Ada/1.jpg", picture())
    (tmp_path / "groups.tsv").write_text("Ada/1.jpg beach\n")
    with pytest.raises(StudyError, match=r"groups\.tsv:1: a line is PATH"):
        read_pictures(tmp_path, tmp_path / "groups.tsv")


@pytest.mark.parametrize("folder", ["missing", "."])
def test_a_folder_without_people_is_refused(tmp_path: Path, folder: str) -> None:
    """Nothing is asked about a folder that is not there, or has no known people."""
    _write(tmp_path, "unknown/1.jpg", picture())
    with pytest.raises(StudyError):
        read_pictures(tmp_path / folder)


def _write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
