"""Tests of how the command connects: TLS, certificates and tokens, by options, environment and .env."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import Result

from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support.client import Peer, marquee, serving
from tests.support.doors import Authority, Pair, line
from tests.support.processes import PATIENCE, spawn
from tests.support.servers import Scripted, picture, served

VARIABLES = ("MARQUEE_TOKEN", "MARQUEE_TOKEN_FILE", "MARQUEE_CA", "MARQUEE_CERT", "MARQUEE_KEY", "MARQUEE_ADDRESS")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without the environment's own credentials; take back what .env sets."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def client(authority: Authority) -> Pair:
    return authority.issue("client")


@pytest.fixture
async def address(authority: Authority, tmp_path: Path) -> AsyncIterator[str]:
    """Serve a leaf that asks for certificates and tokens; yield its address."""
    server, callers = authority.issue("127.0.0.1"), tmp_path / "callers"
    others = line("enroller", name="enroller", scopes="enroll") + line("staff", name="staff", collections="staff")
    callers.write_text(line("secret") + others)
    settings = {"tls_cert": server.chain, "tls_key": server.key, "tls_client_ca": authority.path, "callers": callers}
    async with served(Leaf(Scripted(), LeafSettings()), **settings) as address:
        yield address


async def _marquee(*arguments: object) -> Result:
    return await asyncio.to_thread(marquee, *map(str, arguments))


async def test_options_say_how_to_connect(address: str, authority: Authority, client: Pair, tmp_path: Path) -> None:
    """Each subcommand takes --ca, --cert, --key and --token-file, and reaches a server that asks for all of them."""
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "a.jpg").write_bytes(picture())
    shown = ("--ca", authority.path, "--cert", client.chain, "--key", client.key, "--token-file", "token")
    for command in (("recognizers",), ("recognize", "a.jpg"), ("cost",)):
        result = await _marquee(*command, "--address", f"https://{address}", *shown)
        assert (result.exit_code, result.stderr) == (0, "")
    result = await _marquee("people", "--address", address, "--tls", *shown)
    assert "does not support this call" in result.stderr


async def test_each_option_has_its_own_variable(
    address: str, authority: Authority, client: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--cert goes with MARQUEE_KEY, and --key with MARQUEE_CERT; through a tunnel, --server-name says what counts."""
    monkeypatch.setenv("MARQUEE_TOKEN", "secret")
    where = ("--address", address.replace("127.0.0.1", "localhost"), "--server-name", "127.0.0.1")
    for variable, of, option, given in (
        ("MARQUEE_KEY", client.key, "--cert", client.chain),
        ("MARQUEE_CERT", client.chain, "--key", client.key),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(of))
            result = await _marquee("recognizers", *where, "--ca", authority.path, option, given)
        assert (result.exit_code, result.stderr) == (0, "")


def test_a_token_may_come_from_a_pipe() -> None:
    """A pipe, as a shell makes one of <(…), is read once, though the command looks at its token before it connects."""
    os.mkfifo("token")
    with serving(Peer()) as peer, ThreadPoolExecutor(1) as executor:
        written = executor.submit(Path("token").write_text, "secret\n")
        result = marquee("recognizers", "--address", peer.address, "--token-file", "token")
        assert (written.result(), result.exit_code) == (7, 0)
    assert [call["authorization"] for call in peer.metadata] == ["Bearer secret"]


async def test_a_folders_env_says_how_to_connect(
    address: str, authority: Authority, client: Pair, tmp_path: Path
) -> None:
    """The file .env may have all of it, too."""
    files = f"MARQUEE_CA={authority.path}\nMARQUEE_CERT={client.chain}\nMARQUEE_KEY={client.key}\n"
    (tmp_path / ".env").write_text(f"MARQUEE_ADDRESS=https://{address}\nMARQUEE_TOKEN=secret\n{files}")
    assert (await _marquee("recognizers")).exit_code == 0


async def test_a_refused_caller_is_told_once(address: str, authority: Authority, client: Pair, tmp_path: Path) -> None:
    """A caller who may not call at all exits 1 after the first of several pictures, with the server's reason."""
    names = ("a.jpg", "b.jpg", "c.jpg")
    for name in names:
        (tmp_path / name).write_bytes(picture())
    for token, words in (
        ("other", "The token is not known here"),
        ("enroller", "lacks the scope recognize"),
        ("staff", "staff may not use the default collection"),
    ):
        (tmp_path / "token").write_text(token)
        shown = ("--ca", authority.path, "--cert", client.chain, "--key", client.key, "--token-file", "token")
        result = await _marquee("recognize", *names, "--address", address, *shown, "--jobs", "1")
        assert (result.exit_code, result.stderr.count(words)) == (1, 1)


async def test_a_folder_is_recognized_at_the_callers_pace(tmp_path: Path) -> None:
    """Pictures beyond the calls a second that a caller may make wait for their turn; the timeout limits that."""
    (tmp_path / "pictures").mkdir()
    for number in range(8):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(picture())
    callers, token = tmp_path / "callers", tmp_path / "token"
    callers.write_text(line("quick", name="quick", calls="5") + line("slow", name="slow", calls="0.001"))
    async with served(Leaf(Scripted(), LeafSettings()), callers=callers) as address:
        for words, code in (("quick", 0), ("slow", 1)):
            token.write_text(words)
            result = await _marquee("recognize", "pictures", "--address", address, "--token-file", token)
            assert (result.exit_code, "makes more" in result.stderr) == (code, code == 1)


_ELSEWHERE = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
from marquee.__main__ import main
main()
"""
"""The command, with Ctrl-C caught by another thread: as when it comes just before the main one waits, no wait ends."""


async def test_ctrl_c_ends_the_wait_for_room(tmp_path: Path) -> None:
    """The command ends at once although pictures wait until their caller may call again."""
    (tmp_path / "callers").write_text(line("slow", calls="0.001"))
    (tmp_path / "token").write_text("slow")
    pictures = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for path in pictures:
        path.write_bytes(picture())
    async with served(Leaf(Scripted(), LeafSettings()), callers=tmp_path / "callers") as address:
        # A shell's background job, as this test may run in, ignores Ctrl-C, and so would what it starts.
        command = ["env", "--default-signal=INT", sys.executable, "-c", _ELSEWHERE, "recognize", *pictures]
        patient = ["--timeout", "3600", "--jobs", "1", "-o", "json"]
        server = ["--address", address, "--token-file", tmp_path / "token"]
        with spawn([*command, *patient, *server], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert b"a.jpg" in await asyncio.to_thread(process.stdout.readline)
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, PATIENCE) != 0


async def test_what_is_wrong_with_certificates_exits_3(address: str, authority: Authority) -> None:
    """A connection that certificates do not let through counts as unreachable; JSON has the reason."""
    result = await _marquee("recognizers", "--address", address, "--ca", authority.path, "-o", "json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"]["reason"] == "CLIENT_CERTIFICATE_MISSING"
    assert "by --cert and --key" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--address", "gateway:1", "--token-file", "token"), "use an https:// address"),
        (("--address", "https://gateway", "--ca", "missing"), "missing cannot be read: No such file"),
        (("--address", "https://gateway", "--ca", "token"), "token holds no certificate in PEM"),
        (("--address", "https://gateway", "--key", "token"), "Invalid value for --key: give the certificate"),
        (("--address", "https://gateway", "--token-file", "missing"), "The token in missing cannot be read"),
        (("--address", "https://gateway/path"), "Invalid value for --address"),
    ],
)
def test_what_no_connection_can_be_made_with_is_a_usage_error(arguments: tuple[str, ...], message: str) -> None:
    """The command exits 2 before it connects, and says what to give instead."""
    Path("token").write_text("secret")
    result = marquee("recognizers", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_token_file_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option overrides a variable."""
    Path("token").write_text("from-option")
    monkeypatch.setenv("MARQUEE_TOKEN", "from-environment")
    with serving(Peer()) as peer:
        marquee("recognizers", "--address", peer.address, "--token-file", "token")
        marquee("recognizers", "--address", peer.address)
    assert [call["authorization"] for call in peer.metadata] == ["Bearer from-option", "Bearer from-environment"]
