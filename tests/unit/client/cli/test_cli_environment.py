"""Tests of what the command takes from the folder's .env, and of its standard streams."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marquee.cli.environment import prepare
from marquee.cli.table import Table
from marquee.cli.terminal import Progress
from tests.support.client import Peer, marquee, serving, two_people
from tests.support.processes import ROOT, run

TAKEN = {
    "MARQUEE_ADDRESS": "elsewhere:1",
    "MARQUEE_ANYTHING": "x",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_PROFILE": "profile",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
LEFT = (
    *("PATH", "http_proxy", "HTTPS_PROXY", "grpc_proxy", "no_proxy", "LD_PRELOAD", "PYTHONPATH", "PYTHONSTARTUP"),
    *("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "SSL_CERT_FILE"),
    *("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "REQUESTS_CA_BUNDLE", "marquee_address", "XMARQUEE_ADDRESS"),
)
FULL = "The output cannot be written: No space left on device\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in an empty folder, and take back what the test sets."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    for name in (*TAKEN, *LEFT[1:], "MARQUEE_TOKEN_FILE"):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_only_marquees_and_awss_own_variables_are_taken() -> None:
    """A folder sets addresses, credentials, profile and region, but never programs, proxies or endpoints."""
    lines = [f"{name}={value}" for name, value in TAKEN.items()] + [f"{name}=evil" for name in LEFT]
    Path(".env").write_text("\n".join(lines))
    prepare()
    assert {name: os.environ.get(name) for name in TAKEN} == TAKEN
    assert [name for name in LEFT if os.environ.get(name) == "evil"] == []


def test_a_folder_sends_only_its_own_file_as_the_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A token's file that lies elsewhere, or that a link brings in, is left out and named; one of the folder is not."""
    Path("link").symlink_to("/etc/hostname")
    for path in ("/etc/hostname", "../secret", "link"):
        Path(".env").write_text(f"MARQUEE_TOKEN_FILE={path}\n")
        prepare()
        assert "MARQUEE_TOKEN_FILE" not in os.environ
        assert "MARQUEE_TOKEN_FILE is not read" in capsys.readouterr().err
    Path(".env").write_text(f"MARQUEE_TOKEN_FILE={tmp_path / 'token'}\n")
    prepare()
    assert os.environ["MARQUEE_TOKEN_FILE"] == str(tmp_path / "token")


@pytest.mark.parametrize(("columns", "longest"), [("40", 40), ("0", 240), ("wide", 240), ("", 240)])
def test_the_table_is_as_wide_as_columns_says(columns: str, longest: int) -> None:
    """In a pipe, lines are cut only where COLUMNS is a width."""
    Path("a.jpg").write_bytes(b"picture")
    with serving(Peer(answer=two_people())) as peer:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "MARQUEE_ADDRESS": peer.address, "COLUMNS": columns}
        stdout = run([sys.executable, "-m", "marquee", "recognize", "a.jpg"], cwd=Path.cwd(), env=environment).stdout
    assert max(map(len, stdout.splitlines())) <= longest
    assert ("Eileen Collins" in stdout) == (longest == 240)


def test_words_of_wide_characters_are_wrapped_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line holds as many words as its columns, of which some characters take two; longer words are parted."""
    monkeypatch.setenv("COLUMNS", "12")
    table = Table("Found")
    table.add_row("王小明 0.50, 王 e\u0301e\u0301 0.50, 王小明王小明王小明")
    table.print()
    assert capsys.readouterr().out.splitlines()[1:] == [
        "王小明 0.50,",
        "王 e\u0301e\u0301 0.50,",
        "王小明王小明",
        "王小明",
    ]


def test_at_a_terminal_a_bar_makes_way_for_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts the pictures within the terminal's width, and its line is empty at each print and in the end."""
    monkeypatch.setenv("COLUMNS", "21")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := _Terminal())
    with Progress(2) as progress:
        progress.advance()
        with progress.paused():
            assert terminal.lines()[-1] == ""
        assert terminal.lines()[-1].startswith("####.... 1/2 0:0")
    assert terminal.lines()[-1] == ""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """Return what each line was replaced by."""
        return self.getvalue().split("\r\x1b[2K")


def test_the_environment_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set already stays."""
    monkeypatch.setenv("MARQUEE_ADDRESS", "here:1")
    Path(".env").write_text(
        "MARQUEE_ADDRESS=elsewhere:1\nexport AWS_REGION='x'  # a comment\nHOST=h\nMARQUEE_X=${HOST}:2\n"
    )
    prepare()
    assert (os.environ["MARQUEE_ADDRESS"], os.environ["AWS_REGION"], os.environ["MARQUEE_X"]) == ("here:1", "x", "h:2")


def test_a_line_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The note has the line's number; the others count."""
    Path(".env").write_text("# comment\n\nMARQUEE_ADDRESS: h:1\nMARQUEE_X=1\nMARQUEE_Y='open\n")
    prepare()
    notes = capsys.readouterr().err.splitlines()
    assert [note.partition(":")[0] for note in notes] == [".env, line 3", ".env, line 5"]
    assert os.environ["MARQUEE_X"] == "1"


@pytest.mark.parametrize("content", [b"MARQUEE_X=\xff\n", b"\xff\xfeM\0", b"MARQUEE_X=a\0b\n", b"MARQUEE_\0=1"])
def test_a_file_that_is_no_text_is_named(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are not UTF-8, or NUL, give one note and no traceback."""
    Path(".env").write_bytes(content)
    prepare()
    assert capsys.readouterr().err.startswith(".env is not read: ")


def test_a_folder_or_fifo_of_that_name_is_no_file() -> None:
    """What is no regular file is left alone."""
    os.mkfifo(".env")
    prepare()
    Path(".env").unlink()
    Path(".env").mkdir()
    prepare()


def test_an_invalid_address_in_the_file_is_named() -> None:
    """The usage error names the variable, and what to write."""
    Path(".env").write_text("MARQUEE_ADDRESS=http://example.com\n")
    result = marquee("recognizers")
    assert result.exit_code == 2
    assert "Invalid value for MARQUEE_ADDRESS" in result.stderr
    assert "example.com:50051" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("recognize a.jpg > /dev/full", 1, FULL),
        ("--help > /dev/full", 1, FULL),
        ("recognize --help > /dev/full", 1, FULL),
        ("--version > /dev/full", 1, FULL),
        ("recognize a.jpg >&-", 0, ""),
        ("recognize a.jpg a.jpg 2>&-", 0, ""),
        ("recognize a.jpg | true", 0, ""),
        ("--help | true", 0, ""),
    ],
)
def test_output_that_cannot_be_written_is_no_traceback(arguments: str, code: int, message: str) -> None:
    """A full disk is said; a closed pipe or stream is not."""
    Path("a.jpg").write_bytes(b"picture")
    with serving(Peer(answer=two_people())) as peer:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "MARQUEE_ADDRESS": peer.address}
        result = run(["bash", "-c", f"{sys.executable} -m marquee {arguments}"], cwd=Path.cwd(), env=environment)
    assert (result.returncode, result.stderr) == (code, message)
