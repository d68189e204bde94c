"""The register of callers: what its lines may say, and whom they let in."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.doors.register import parse, read_register
from services.runtime.doors.scopes import Scope
from services.runtime.errors import TokenExpired
from tests.support.doors import line
from tests.support.processes import ROOT

DIGEST = hashlib.sha256(b"token").hexdigest()
PLAIN = "name=someone scopes=recognize"


def test_a_line_says_who_calls_and_what_they_may() -> None:
    """Name, scopes, collections, calls a second and dollars a day are those of the line."""
    text = line("token", name="a-team", scopes="recognize,enroll", collections="staff,vip", calls="2.5", usd="0.002")
    caller = parse(text).caller_of_token("token")
    assert caller is not None
    assert (caller.name, caller.calls_per_second, caller.daily_micro_usd) == ("a-team", 2.5, 2000)
    assert (caller.scopes, caller.collections) == ({Scope.RECOGNIZE, Scope.ENROLL}, {"staff", "vip"})


def test_what_a_line_leaves_out_is_not_limited() -> None:
    """Without collections, calls and usd, a caller may use all and as much as they like."""
    caller = parse(line("token")).caller_of_token("token")
    assert caller is not None
    assert (caller.collections, caller.calls_per_second, caller.daily_micro_usd) == (None, None, None)


@pytest.mark.parametrize("token", ["", "Token", "token ", "tokentoken", DIGEST, "tök\udc80en"])
def test_other_tokens_are_nobodys(token: str) -> None:
    """Only the token itself lets in: neither a part of it, nor its digest."""
    assert parse(line("token")).caller_of_token(token) is None


def test_certificates_and_subjects_have_lines_of_their_own() -> None:
    """A name of a client certificate and the subject of a JWT lead to their lines, each only to its own kind."""
    register = parse(f"san:gateway.marquee.svc name=gateway scopes=relay\nsub:a:b|c {PLAIN}\n")
    by_name, by_subject = register.caller_of_names(["x", "gateway.marquee.svc"]), register.caller_of_subject("a:b|c")
    assert (by_name and by_name.name, by_subject and by_subject.name) == ("gateway", "someone")
    assert register.caller_of_names(["a:b|c"]) is None
    assert register.caller_of_subject("gateway.marquee.svc") is None


def test_two_lines_may_name_one_caller() -> None:
    """While a token is replaced, the old one and the new one are the same caller's."""
    register = parse(line("old", name="a") + line("new", name="a"))
    assert [caller and caller.name for caller in map(register.caller_of_token, ("old", "new"))] == ["a", "a"]


@pytest.mark.parametrize(
    "expiry", ["{:%Y-%m-%d}", "{:%Y-%m-%dT%H:%M}", "{:%Y-%m-%dT%H:%M:%SZ}", "{:%Y-%m-%dT%H:%M+00:00}"]
)
def test_a_line_is_valid_until_it_expires(expiry: str) -> None:
    """A date means its first moment in UTC, as does a time without a zone; from then on the line lets nobody in."""
    day = timedelta(days=1)
    past, future = (expiry.format(datetime.now(UTC) + offset) for offset in (-day, 2 * day))
    register = parse(line("old", name="a", expires=past) + line("new", expires=future))
    assert register.caller_of_token("new")
    with pytest.raises(TokenExpired, match="of a expired on"):
        register.caller_of_token("old")


def test_the_end_of_a_line_is_told_in_utc() -> None:
    """Whatever zone the line has, the message has the same as the log's times."""
    with pytest.raises(TokenExpired, match="expired on 2026-01-01 16:30 UTC"):
        parse(line("token", expires="2026-01-01T18:00+01:30")).caller_of_token("token")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("token name=a scopes=recognize", "line 1: it must begin with"),
        (f"# fine\n\n{DIGEST} {PLAIN}", "line 3: it must begin with"),
        (f"sha256: {PLAIN}", "it must begin with"),
        (f"sha256:{DIGEST[:-1]} {PLAIN}", "64 lowercase hexadecimal digits"),
        (f"sha256:{DIGEST.upper()} {PLAIN}", "64 lowercase hexadecimal digits"),
        (f"sha256:{DIGEST}\0 {PLAIN}", "64 lowercase hexadecimal digits"),
        (f"cn:a {PLAIN}", "it must begin with"),
        (f"sha256:{DIGEST}", "name= is missing; scopes= is missing"),
        (f"sub:a {PLAIN} scope=admin", "'scope' is none of name=, scopes="),
        (f"sub:a {PLAIN} admin", "'admin' is none of"),
        (f"sub:a {PLAIN} name=b", "a key is there twice"),
        (f"sub:a {PLAIN}\nsub:a {PLAIN}", "line 2: sub:a is there twice"),
        ("sub:a name=a scopes=", "scopes="),
        ("sub:a name=a scopes=root", "scopes="),
        ("sub:a name=a,b scopes=recognize", "name=a,b"),
        ("sub:a name=anonymous scopes=recognize", "name=anonymous"),
        ("sub:a name=a\0b scopes=recognize", "name=a\0b"),
        (f"sub:a name={'a' * 256} scopes=recognize", "name=a"),
        (f"sub:a {PLAIN} collections=", "collections="),
        (f"sub:a {PLAIN} collections=a,,b", "collections="),
        (f"sub:a {PLAIN} expires=tomorrow", "is no date or time such as 2027-03-01"),
        (f"sub:a {PLAIN} calls=0", "calls=0"),
        (f"sub:a {PLAIN} calls=nan", "calls=nan"),
        (f"sub:a {PLAIN} calls=inf", "calls=inf"),
        (f"sub:a {PLAIN} calls=1e-300", "calls=1e-300"),
        (f"sub:a {PLAIN} expires=9999-12-31T23:59-12:00", "is not within the years 1 to 9999"),
        (f"sub:a {PLAIN} usd=-1", "usd=-1"),
        (f"sub:a {PLAIN} usd=NaN", "usd=NaN"),
        (f"sub:a {PLAIN} usd=0.0000001", "usd=0.0000001"),
    ],
)
def test_a_wrong_line_is_named(text: str, error: str) -> None:
    """A line that cannot be meant so makes the whole register invalid; the message has its number and the mistake."""
    with pytest.raises(ValueError, match=r"^line ") as caught:
        parse(text)
    assert error in str(caught.value)


@given(st.text(max_size=200) | st.text(alphabet="sha256:subn=,. \n\0é", max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever the file holds is a register, or refused with the number of a line."""
    error = ""
    try:
        parse(text)
    except ValueError as exc:
        error = str(exc)
    assert not error or error.startswith("line ")


def test_the_documented_register_is_one() -> None:
    """The example in docs/security.md can be copied."""
    example = (ROOT / "docs/security.md").read_text().split("```\n")[1]
    register = parse(example)
    assert (len(register.tokens), len(register.subjects), len(register.names)) == (1, 1, 1)


@pytest.mark.parametrize(
    "encode",
    [str.encode, lambda text: text.encode("utf-8-sig"), lambda text: text.replace("\n", "\r\n").encode()],
    ids=["UTF-8", "with a byte order mark", "with CR LF"],
)
def test_files_of_every_editor_are_read(tmp_path: Path, encode: object) -> None:
    """A byte order mark and line ends as Windows writes them change nothing."""
    path = tmp_path / "callers"
    path.write_bytes(encode("# callers\n" + line("token") + line("other")))  # type: ignore[operator]
    register = read_register(path)
    assert register.caller_of_token("token")
    assert register.caller_of_token("other")


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"\xff\xfea\0", "callers: 'utf-8' codec"), (b"#" * (1024 * 1024 + 1), "the limit is"), (b"x", "callers: line 1")],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes, error: str) -> None:
    """The message has the file's path: of one in another encoding, over 1 MiB, or with a wrong line."""
    path = tmp_path / "callers"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=str(path)) as caught:
        read_register(path)
    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [("auth0|5f7c", "auth0|5f7c"), ("spiffe://a/ns/b", "spiffe://a/ns/b"), ("a b\n%", "a%20b%0A%25"), ("é", "%C3%A9")],
)
def test_callers_without_a_line_have_names_that_can_be_passed_on(text: str, name: str) -> None:
    """What a caller's name cannot hold is escaped, so that different subjects have different names."""
    assert parse(line("token")).free_name(text) == name


@pytest.mark.parametrize("text", ["someone", "anonymous", "", "a" * 256])
def test_callers_without_a_line_get_nobody_elses_name(text: str) -> None:
    """The name of a caller in the register, or of nobody, is no name for another one; nor is an empty or long one."""
    with pytest.raises(ValueError, match="name"):
        parse(line("token")).free_name(text)
