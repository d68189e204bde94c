"""Tests of `marquee auth token`: what it makes is what a server's register takes."""

import json
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marquee.cli.options import CALLER_NAME, SCOPES
from services.runtime.doors.caller import NAME, Caller
from services.runtime.doors.register import parse, read_register
from services.runtime.doors.scopes import Scope
from tests.support.client import marquee

EVERYTHING = ("--scope", "recognize,enroll", "--scope", "library-read", "--collection", "staff", "--collection", "a.b")
LIMITS = ("--expires", "90d", "--calls", "0.5", "--usd", "2.50")


def test_scopes_and_names_are_those_of_servers() -> None:
    """The command offers each scope and takes each name that a server knows, and no other."""
    assert set(SCOPES) == set(Scope)
    assert CALLER_NAME.pattern == NAME.pattern


def test_a_server_takes_the_line_for_the_token() -> None:
    """Of two lines, the first is a new token, the second the line by which a server knows its caller and rights."""
    token, line = marquee("auth", "token", "first-team", *EVERYTHING, *LIMITS).stdout.splitlines()
    caller = parse(line).caller_of_token(token)
    assert caller == Caller(
        "first-team",
        frozenset({Scope.RECOGNIZE, Scope.ENROLL, Scope.LIBRARY_READ}),
        collections=frozenset({"staff", "a.b"}),
        calls_per_second=0.5,
        daily_micro_usd=2_500_000,
    )
    assert token not in line


def test_a_token_has_256_random_bits() -> None:
    """A token is new each time, and long enough that its digest gives nothing away."""
    tokens = {marquee("auth", "token", "a").stdout.splitlines()[0] for _ in range(2)}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"mq_[A-Za-z0-9_-]{43}", token) for token in tokens)


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("2100-03-01", datetime(2100, 3, 1, tzinfo=UTC)),
        ("2100-03-01T18:00+02:00", datetime(2100, 3, 1, 16, tzinfo=UTC)),
        ("2100-03-01T18:00:30Z", datetime(2100, 3, 1, 18, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_when_the_token_expires(expires: str, expected: datetime) -> None:
    """A date is its first moment; a time is in UTC unless it says otherwise."""
    _, line = marquee("auth", "token", "a", "--expires", expires).stdout.splitlines()
    assert [entry.expiry for entry in parse(line).tokens.values()] == [expected]


def test_days_and_hours_count_from_now() -> None:
    """A token of 2 days is valid for two days, one of 3 hours for three hours."""
    for text, period in {"2d": timedelta(days=2), "3h": timedelta(hours=3)}.items():
        _, line = marquee("auth", "token", "a", "--expires", text).stdout.splitlines()
        (entry,) = parse(line).tokens.values()
        assert entry.expiry is not None
        assert abs(entry.expiry - datetime.now(UTC) - period) < timedelta(minutes=5)


def test_lines_are_added_to_a_register(tmp_path: Path) -> None:
    """With --register only the token is printed; a new file is its owner's alone, and an old token stays valid."""
    register = tmp_path / "callers"
    tokens = [marquee("auth", "token", "a", "--register", str(register)).stdout.strip() for _ in range(2)]
    assert {read_register(register).caller_of_token(token).name for token in tokens} == {"a"}
    assert stat.S_IMODE(register.stat().st_mode) == 0o600


def test_a_last_line_without_an_end_stays_a_line(tmp_path: Path) -> None:
    """A register that an editor left without a line break at its end keeps its last line."""
    register = tmp_path / "callers"
    register.write_text("san:gateway name=gateway scopes=relay")
    marquee("auth", "token", "a", "--register", str(register))
    assert list(read_register(register).names) == ["gateway"]
    assert len(read_register(register).tokens) == 1


def test_a_register_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Who has the old file open sees nothing of the new line; links and modes stay as they are."""
    register, link = tmp_path / "callers", tmp_path / "link"
    register.write_text("# ours\n")
    register.chmod(0o640)
    link.symlink_to(register)
    with register.open() as before:
        marquee("auth", "token", "a", "--register", str(link))
        assert before.read() == "# ours\n"
    assert (link.is_symlink(), stat.S_IMODE(register.stat().st_mode)) == (True, 0o640)
    assert len(read_register(link).tokens) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["callers", "link"]


def test_a_known_token_gets_its_line_once(tmp_path: Path) -> None:
    """A token from elsewhere is read from standard input, is not printed, and has one line in a register."""
    register, existing = tmp_path / "callers", "0123456789abcdef" * 3
    command = ("auth", "token", "a", "--token-stdin", "--register", str(register))
    first, second = (marquee(*command, stdin=f"{existing}\n".encode()) for _ in range(2))
    assert (first.exit_code, first.stdout, second.exit_code) == (0, "", 1)
    assert "already" in second.stderr
    assert existing not in first.stderr
    assert read_register(register).caller_of_token(existing).name == "a"


def test_json_has_token_and_line() -> None:
    """With -o json, programs get the token and its line by name."""
    made = json.loads(marquee("auth", "token", "a", "-o", "json").stdout)
    assert parse(made["line"]).caller_of_token(made["token"]).name == "a"
    assert made["register"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("two words",), "a name has"),
        (("a", "--scope", "root"), "'root' is not a scope; choose from recognize"),
        (("a", "--scope", "recognize,"), "is not a scope"),
        (("a", "--collection", "a b"), "a collection has"),
        (("a", "--expires", "soon"), "'soon' is not 90d"),
        (("a", "--expires", "2001-01-01"), "2001-01-01 is past"),
        (("a", "--expires", "0d"), "'0d' is not 90d"),
        (("a", "--expires", "9999999d"), "is not 90d"),
        (("anonymous",), "a name has"),
        (("a", "--calls", "0"), "greater than 0"),
        (("a", "--calls", "1e-300"), "greater than 0"),
        (("a", "--calls", "nan"), "greater than 0"),
        (("a", "--usd", "1.0000001"), "no number of dollars"),
        (("a", "--usd", "-1"), "no number of dollars"),
        (("a", "--usd", "nan"), "no number of dollars"),
        (("a", "--token-stdin"), "standard input holds no token"),
    ],
)
def test_what_a_register_would_refuse_is_a_usage_error(arguments: tuple[str, ...], message: str) -> None:
    """What no server could read is refused with what to write, before a token is made."""
    result = marquee("auth", "token", *arguments, stdin=b"two words\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())


def test_a_register_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The command exits 1 and names the file, and prints no token, which nobody would know."""
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    for register in (tmp_path, tmp_path / "missing" / "callers", tmp_path / "circle", tmp_path / "pipe"):
        result = marquee("auth", "token", "a", "--register", str(register))
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"{register}: " in result.stderr.replace("\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["circle", "pipe"]
