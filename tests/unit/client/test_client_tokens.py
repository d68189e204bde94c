"""Tokens and metadata of calls: where they come from, where they never go, and why servers refuse them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import marquee
from marquee import AsyncClient, Client, InvalidCredentials, MarqueeError
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.client import Peer, serving
from tests.support.doors import line
from tests.support.servers import Scripted, picture, served

# ruff: noqa: S106 - tokens of servers that live as long as a test

VARIABLES = ("MARQUEE_TOKEN", "MARQUEE_TOKEN_FILE", "MARQUEE_CA", "grpc_proxy", "https_proxy", "http_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the environment's own tokens and proxies."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def _shown(peer: Peer, **options: Any) -> object:
    """Return the authorization that a call to the peer has."""
    with Client(peer.address, **options) as client:
        client.recognizers()
    return peer.metadata[-1].get("authorization")


def test_a_token_comes_from_the_caller_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument counts first, then MARQUEE_TOKEN, then MARQUEE_TOKEN_FILE; an empty argument means none."""
    path = tmp_path / "token"
    path.write_text("from-file\n")
    with serving(Peer()) as peer:
        assert _shown(peer) is None
        monkeypatch.setenv("MARQUEE_TOKEN_FILE", str(path))
        assert _shown(peer) == "Bearer from-file"
        monkeypatch.setenv("MARQUEE_TOKEN", "from-environment")
        assert _shown(peer) == "Bearer from-environment"
        assert _shown(peer, token="given") == "Bearer given"
        assert _shown(peer, token="") is None


async def test_each_call_has_the_token_of_its_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function is asked before each call, and a file is read: a token may be replaced while a client is open."""
    path = tmp_path / "token"
    monkeypatch.setenv("MARQUEE_TOKEN_FILE", str(path))
    tokens = iter(["first", "second"])
    with serving(Peer()) as peer:
        async with AsyncClient(peer.address, token=lambda: next(tokens)) as client:
            await client.recognizers()
            assert [part async for part in client.stream(picture())]
        async with AsyncClient(peer.address) as client:
            for token in ("third", "fourth"):
                path.write_text(token)
                await client.recognize(picture())
    assert [call["authorization"] for call in peer.metadata] == [
        f"Bearer {token}" for token in ("first", "second", "third", "fourth")
    ]


def test_metadata_is_sent_with_each_call() -> None:
    """What the caller gives as metadata, every call has."""
    with serving(Peer()) as peer, Client(peer.address, metadata={"X-Team": "first"}) as client:
        client.recognizers()
        client.recognize(picture())
    assert [call["x-team"] for call in peer.metadata] == ["first", "first"]


@pytest.mark.parametrize("address", ["gateway:50051", "10.0.0.1:50051", "ipv4:127.0.0.1:1,10.0.0.1:1", "dns:///svm:1"])
@pytest.mark.parametrize("options", [{"token": "secret"}, {"token": lambda: "secret"}], ids=["text", "function"])
def test_no_token_leaves_the_machine_in_plaintext(address: str, options: dict[str, Any]) -> None:
    """It is refused when the client is created, with what to do, and without showing the token."""
    with pytest.raises(InvalidCredentials, match="use an https:// address") as refused:
        Client(address, **options)
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "address",
    ["localhost:1", "LOCALHOST.:1", "127.0.0.2:1", "[::1]:1", "unix:/tmp/s", "dns:///localhost:1", "https://gateway"],
)
def test_a_token_may_go_to_this_machine_or_through_tls(address: str) -> None:
    """Loopback, a Unix domain socket and TLS are fit for tokens."""
    with Client(address, token="secret"):
        pass


def test_a_proxy_takes_no_token_in_plaintext(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even for localhost, gRPC goes through a proxy, which is another machine."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    with pytest.raises(InvalidCredentials, match=r"through the proxy proxy\.example:3128 is plaintext"):
        Client("localhost:50051", token="secret")
    monkeypatch.setenv("no_proxy", "localhost")
    with Client("localhost:50051", token="secret"):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "two words"}, "The token has a blank"),
        ({"token": "line\n"}, "The token has a blank"),
        ({"token": "geheimnüs"}, "The token has a blank"),
        ({"metadata": {"Authorization": "Bearer x"}}, "Give the token as `token`"),
        ({"metadata": {"a key": "x"}}, "'a key' cannot be sent"),
        ({"metadata": {"grpc-x": "x"}}, "'grpc-x' cannot be sent"),
        ({"metadata": {"key": "line\nbreak"}}, "'key' cannot be sent"),
    ],
)
def test_what_no_call_can_carry_is_refused(options: dict[str, Any], message: str) -> None:
    """The error says so when the client is created, instead of one of gRPC's in each call."""
    with pytest.raises(InvalidCredentials, match=message):
        Client("localhost:1", **options)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfsecret\r\n", b"\n secret \n\n"], ids=["mark of UTF-8", "blanks"])
def test_what_editors_add_to_a_token_is_left_out(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marks of the encoding, line breaks and blanks around the token are not sent."""
    (tmp_path / "token").write_bytes(content)
    monkeypatch.setenv("MARQUEE_TOKEN_FILE", str(tmp_path / "token"))
    with serving(Peer()) as peer:
        assert _shown(peer) == "Bearer secret"


def test_a_token_file_that_holds_none(tmp_path: Path) -> None:
    """A file that is missing, empty or of another kind is named by the call that needs it."""
    (tmp_path / "empty").touch()
    (tmp_path / "header").write_text("Bearer secret")
    (tmp_path / "folder").mkdir()
    faults = {"missing": "No such file", "empty": "is empty", "header": "has a blank", "folder": "Is a directory"}
    with serving(Peer()) as peer:
        for name, message in faults.items():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MARQUEE_TOKEN_FILE", str(tmp_path / name))
                with Client(peer.address) as client, pytest.raises(InvalidCredentials, match=message) as refused:
                    client.recognizers()
            assert f"{tmp_path / name} " in refused.value.message
            assert "secret" not in refused.value.message
    assert peer.metadata == []


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[str]:
    """Serve a leaf that knows a few callers; yield its address."""
    callers = tmp_path / "callers"
    callers.write_text(
        line("team", name="team", collections="staff")
        + line("old", name="old", expires="2001-01-01")
        + line("enroller", name="enroller", scopes="enroll")
        + line("slow", name="slow", calls="0.1")
    )
    async with served(Leaf(Scripted(), LeafSettings()), callers=callers) as address:
        yield address


REFUSALS = {
    "": (marquee.CredentialsMissing, "Set MARQUEE_TOKEN, or MARQUEE_TOKEN_FILE"),
    "other": (marquee.TokenUnknown, "not known here"),
    "old": (marquee.TokenExpired, "expired on 2001-01-01"),
    "enroller": (marquee.ScopeMissing, "lacks the scope recognize"),
    "team": (marquee.CollectionForbidden, "may not use the collection 'vips'"),
}


@pytest.mark.parametrize(("token", "expected"), REFUSALS.items(), ids=[kind.__name__ for kind, _ in REFUSALS.values()])
async def test_a_refusal_has_a_class_of_its_own(
    closed: str, token: str, expected: tuple[type[MarqueeError], str]
) -> None:
    """Programs tell by the class, and people by the message, why a server refuses a caller."""
    kind, message = expected
    async with AsyncClient(closed, token=token) as client:
        with pytest.raises(kind) as refused:
            await client.recognize(picture(), collection="vips")
    assert type(refused.value) is kind
    assert message in refused.value.message


async def test_too_many_calls_say_when_to_call_again(closed: str) -> None:
    """A caller over its rate learns after how many seconds there is room."""
    async with AsyncClient(closed, token="slow") as client:
        await client.recognizers()
        with pytest.raises(marquee.RateExceeded) as refused:
            await client.recognizers()
    assert refused.value.retry_after == pytest.approx(10, abs=5)


async def test_a_call_with_its_token_succeeds(closed: str) -> None:
    """Both clients reach a server that asks for tokens."""
    async with AsyncClient(closed, token="team") as client:
        assert (await client.recognize(picture(), collection="staff")).results

    def recognize() -> None:
        with Client(closed, token="team") as client:
            assert client.recognize(picture(), collection="staff").results

    await asyncio.to_thread(recognize)
