"""Tests of the files that --draw writes to."""

from pathlib import Path

import pytest
import typer

from marquee.cli.targets import targets_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    Path("there").mkdir()
    Path("file").touch()


@pytest.mark.parametrize(
    ("out", "files", "expected"),
    [
        (None, ["a.jpg"], {}),
        ("out.PNG", ["a.jpg"], {"a.jpg": "out.PNG"}),
        ("there", ["a.jpg", "x/b.jpg"], {"a.jpg": "there/a.png", "x/b.jpg": "there/b.png"}),
        ("new/", ["-"], {"-": "new/stdin.png"}),
        ("new/", ["s3://b/x/c.d.jpg?versionId=1"], {"s3://b/x/c.d.jpg?versionId=1": "new/c.d.png"}),
        ("{stem}-drawn.svg", ["x/a.jpg"], {"x/a.jpg": "a-drawn.svg"}),
    ],
)
def test_targets(out: str | None, files: list[str], expected: dict[str, str]) -> None:
    """The target is a file, a pattern, or a folder that exists or ends in /."""
    assert targets_of(out, files) == {file: Path(target) for file, target in expected.items()}


@pytest.mark.parametrize(
    ("out", "files", "message"),
    [
        ("out.gif", ["a.jpg"], "neither .png nor .svg"),
        ("out.png", ["a.jpg", "b.jpg"], "is one file for 2 pictures"),
        ("there/", ["x/a.jpg", "y/a.jpg"], "both be drawn"),
        ("./", ["a.png"], "itself a picture"),
        ("{stem}.png", ["a.png", "b.jpg"], "itself a picture"),
        ("file/out.png", ["a.jpg"], "file: "),
    ],
)
def test_targets_that_would_overwrite_a_file_are_refused(out: str, files: list[str], message: str) -> None:
    """A drawing never overwrites another drawing or an input; other invalid targets are refused too."""
    with pytest.raises(typer.BadParameter, match=message):
        targets_of(out, files)
