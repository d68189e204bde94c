"""Tests of how the command finds a local system that its user runs."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from marquee.channels.local_system import LocalSystem, find
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.client import Peer, marquee, serving
from tests.support.doors import Authority, line
from tests.support.servers import Scripted, served


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Run in an empty folder, as a user without local systems; return where theirs are found."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    for name in ("TOKEN", "TOKEN_FILE", "CA", "CERT", "KEY", "ADDRESS", "LIBRARY_ADDRESS"):
        monkeypatch.setenv(f"MARQUEE_{name}", "")
        monkeypatch.delenv(f"MARQUEE_{name}")
    return tmp_path / "home" / "marquee" / "local"


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving(Peer()) as peer:
        yield peer


def _system(address: str, folder: str = "/elsewhere", **facts: Any) -> LocalSystem:
    return LocalSystem(address, folder, f"{folder}/.local", **facts)


def test_a_running_system_is_found_and_said(peer: Peer) -> None:
    """Without an address, the command calls the user's local system, and says so on standard error."""
    with _system(peer.address).published():
        result = marquee("recognizers", "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert result.stderr.split() == f"{peer.address} is the local system that was started in /elsewhere.".split()


@pytest.mark.parametrize("way", ["option", "variable", ".env"])
def test_an_address_that_is_named_is_called(peer: Peer, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """--address, MARQUEE_ADDRESS and the folder's .env come before a local system, and nothing is said."""
    options = ["--address", peer.address] if way == "option" else []
    if way == "variable":
        monkeypatch.setenv("MARQUEE_ADDRESS", peer.address)
    if way == ".env":
        Path(".env").write_text(f"MARQUEE_ADDRESS={peer.address}")
    with _system("127.0.0.1:1").published():
        result = marquee("recognizers", *options)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("systems", "expected"),
    [
        ([], None),
        ([("127.0.0.1:1", "/a")], "127.0.0.1:1"),
        ([("127.0.0.1:1", "HERE"), ("127.0.0.1:2", "/a")], "127.0.0.1:1"),
    ],
)
def test_the_system_of_this_folder_comes_first(systems: list[tuple[str, str]], expected: str | None) -> None:
    """Of several running systems, the one that was started in the working directory is taken."""
    here = str(Path.cwd())
    with ExitStack() as stack:
        for address, folder in systems:
            stack.enter_context(_system(address, folder.replace("HERE", here)).published())
        found = find()
    assert (found and found.address) == expected


def test_a_system_is_found_by_its_state_folder() -> None:
    """A state folder, also a relative one, means the system that keeps its files there, and no other."""
    here = str(Path.cwd())
    with _system("127.0.0.1:1", here).published(), _system("127.0.0.1:2").published():
        found = [find(state) for state in (".local", "/elsewhere/.local", "other")]
    assert [system and system.address for system in found] == ["127.0.0.1:1", "127.0.0.1:2", None]


def test_what_a_killed_system_left_is_removed(home: Path) -> None:
    """A file that no process holds, and one that is no system's, are never taken for a system."""
    home.mkdir(parents=True)
    (home / "killed.json").write_text(json.dumps({"address": "127.0.0.1:1", "folder": "/a", "state": "/a"}))
    (home / "broken.json").write_text("{")
    assert find() is None
    assert list(home.iterdir()) == []


def test_a_folder_cannot_name_a_system(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack.json in the folder, which somebody else may have written, gets neither a call nor a token."""
    monkeypatch.setenv("MARQUEE_TOKEN", "secret")
    Path(".local").mkdir()
    facts = {
        "servers": {"gateway": peer.address},
        "address": peer.address,
        "folder": str(Path.cwd()),
        "state": ".local",
    }
    Path(".local/stack.json").write_text(json.dumps(facts))
    marquee("recognizers", "--timeout", "0.1")
    assert peer.metadata == []


@pytest.mark.parametrize(
    ("facts", "options", "expected"),
    [
        ({}, [], None),
        ({"asks": True}, [], "Bearer environment"),
        ({"asks": True, "token_file": "own"}, [], "Bearer own"),
        ({"asks": True, "token_file": "own"}, ["--token-file", "other"], "Bearer other"),
    ],
)
def test_only_a_system_that_asks_gets_a_token(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], options: list[str], expected: str | None
) -> None:
    """The environment's token goes only to a system that asks who calls; its own file and the option come first."""
    monkeypatch.setenv("MARQUEE_TOKEN", "environment")
    for name in ("own", "other"):
        Path(name).write_text(name)
    with _system(peer.address, **facts).published():
        assert marquee("recognizers", *options).exit_code == 0
    assert [call.get("authorization") for call in peer.metadata] == [expected]


async def test_a_system_with_tls_is_called_with_its_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's CA and token are used, and the environment's, which are for other servers, are not."""
    authority, other = Authority(tmp_path / "authority"), Authority(tmp_path / "other")
    (tmp_path / "callers").write_text(line("secret"))
    (tmp_path / "token").write_text("secret")
    monkeypatch.setenv("MARQUEE_CA", str(other.path))
    server = authority.issue("127.0.0.1")
    settings = {"tls_cert": server.chain, "tls_key": server.key, "callers": tmp_path / "callers"}
    async with served(Leaf(Scripted(), LeafSettings()), **settings) as address:
        facts = {"ca": str(authority.path), "token_file": str(tmp_path / "token"), "asks": True}
        with _system(f"https://{address}", **facts).published():
            result = await asyncio.to_thread(marquee, "recognizers")
    assert result.exit_code == 0, result.stderr


def test_the_library_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is called where the system has it, unless MARQUEE_LIBRARY_ADDRESS names one; the gateway's is not."""
    monkeypatch.setenv("MARQUEE_ADDRESS", "127.0.0.1:2")
    with _system("127.0.0.1:2", library="127.0.0.1:1").published():
        found = marquee("library", "jobs")
        monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", "127.0.0.1:3")
        named = marquee("library", "jobs")
    assert (found.exit_code, named.exit_code) == (3, 3)
    assert "127.0.0.1:1 is the local system that was started in /elsewhere." in found.stderr
    assert (
        "Cannot connect to 127.0.0.1:1: start a server with `make demo`, or set MARQUEE_LIBRARY_ADDRESS."
        in found.stderr
    )
    assert "Cannot connect to 127.0.0.1:3" in named.stderr
    assert "local system" not in named.stderr


def test_an_unreachable_server_is_explained() -> None:
    """If nobody answers, the error is followed by where the address is from."""
    with _system("127.0.0.1:1").published():
        result = marquee("people")
    assert result.exit_code == 3
    assert "Cannot connect to 127.0.0.1:1" in result.stderr
    assert "127.0.0.1:1 is the local system that was started in /elsewhere." in result.stderr.replace("\n", " ")
