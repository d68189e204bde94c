"""The launcher's shutdown and its demo."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from local.pictures import write_gallery
from tests.support.processes import PATIENCE, ROOT, free_port, local_system, run, spawn, wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopping_the_launcher_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    """Neither Ctrl-C nor a crash of the launcher leaves a process behind."""
    with local_system(tmp_path) as system:
        pids = [int(pid) for pid in system.facts["pids"].values()]
        system.process.send_signal(number)
        code = system.process.wait(PATIENCE)
        wait_until(lambda: not any(_runs(pid) for pid in pids))
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)


def test_ctrl_c_after_a_crash_leaves_nothing(tmp_path: Path) -> None:
    """A part that has just crashed is not restarted during the shutdown."""
    with local_system(tmp_path) as system:
        pids = [int(pid) for pid in system.facts["pids"].values()]
        os.kill(pids[0], signal.SIGKILL)
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(PATIENCE) == 0
        assert not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() != b""


def test_the_demo_exits_0_when_all_is_right(tmp_path: Path) -> None:
    """`make demo ARGS=--once` shows each picture with its verdict, and what the library finds, and exits 0."""
    result = _demo(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "finds Eileen Collins in both.jpg, collins.jpg; Grace Hopper in both.jpg, hopper.jpg." in result.stdout
    assert all(word in result.stdout for word in ("both.jpg", "Eileen Collins", "Grace Hopper", "no face", "Celebrity"))


def test_the_demo_fails_when_a_verdict_is_wrong(tmp_path: Path) -> None:
    """If an independent recognizer names somebody else, the demo exits 1 and says what is wrong."""
    write_gallery(tmp_path / "gallery")
    (tmp_path / "gallery" / "Grace Hopper").rename(tmp_path / "gallery" / "Somebody Else")
    result = _demo(tmp_path / "state", "--gallery", str(tmp_path / "gallery"), MARQUEE_EVIDENCE_GROUP="another")
    assert result.returncode == 1
    assert "WRONG  hopper.jpg" in result.stdout


def test_a_taken_port_is_said_and_the_commands_can_be_typed(tmp_path: Path) -> None:
    """If 50051 or 8080 is taken, the server gets another port; what is printed runs as it stands, in any shell."""
    state = tmp_path / "a folder"
    with _listening(50051), _listening(8080), (tmp_path / "output").open("w") as output:
        command = [sys.executable, "-m", "local", "--state", state]
        shell = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}  # where no virtual environment is active
        with spawn(command, env=os.environ | shell | {"http_proxy": "http://127.0.0.1:9"}, stdout=output) as process:
            wait_until(lambda: "Ctrl-C" in _text(tmp_path / "output") or process.poll() is not None, 2 * PATIENCE)
            text = _text(tmp_path / "output")
            commands = re.findall(r"^(?:Try: |     )(.*)$", text, re.MULTILINE)
            results = [run(["bash", "-c", line], env=shell) for line in commands]
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
    assert "The port 50051 is taken (`lsof -i :50051` shows by whom): the gateway gets 127.0.0.1:" in text
    assert "The port 8080 is taken (`lsof -i :8080` shows by whom): the page gets 127.0.0.1:" in text
    assert json.loads((state / "stack.json").read_text())["page_url"] in text
    assert [result.returncode for result in results] == [0] * 4, text
    assert all("Grace Hopper" in result.stdout for result in results[:2])


@pytest.mark.parametrize("port", ["0", "65536", "grpc"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    """The launcher exits 2 and says what a port is."""
    result = run([sys.executable, "-m", "local", "--port", port])
    assert (result.returncode, f"{port!r} is not a port" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--state", "file"), "'file' is no folder for files: File exists"),
        (("--state", "file/state"), "'file/state' is no folder for files: Not a directory"),
        (("--gallery", "nowhere"), "'nowhere' is not a folder"),
        (("--annotations", "nowhere"), "'nowhere' is not a folder"),
        (("--bucket", "own=nowhere"), "'nowhere' is not a folder"),
    ],
)
def test_a_folder_that_is_none_is_refused(arguments: tuple[str, str], message: str, tmp_path: Path) -> None:
    """The launcher exits 2 before anything starts, without a traceback."""
    (tmp_path / "file").touch()
    result = run([sys.executable, "-m", "local", *arguments], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (result.returncode, result.stderr.splitlines()[-1].endswith(message)) == (2, True)


def _loopback_hosts() -> list[str]:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:  # a machine without IPv6
        return ["127.0.0.1"]
    return ["127.0.0.1", "::1"]


@pytest.mark.parametrize("option", ["--port", "--web-port"])
@pytest.mark.parametrize("host", _loopback_hosts())
def test_a_requested_port_that_is_taken_is_refused(host: str, option: str) -> None:
    """The launcher exits 2 before anything starts, whichever address of `localhost` has the port, and says so."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        port = listener.getsockname()[1]
        result = run([sys.executable, "-m", "local", option, str(port)])
    assert result.returncode == 2
    assert f"port {port} is taken (`lsof -i :{port}` shows by whom)" in result.stderr


def test_one_port_for_two_is_refused() -> None:
    """The launcher exits 2 before anything starts."""
    port = str(free_port())
    result = run([sys.executable, "-m", "local", "--port", port, "--web-port", port])
    assert result.returncode == 2
    assert f"--web-port: {port} is the gateway's port" in result.stderr


def test_off_the_loopback_it_is_closed_unless_opened() -> None:
    """The launcher exits 2 before anything starts, and says what makes the gateway ask, and what opens it."""
    result = run([sys.executable, "-m", "local", "--host", "0.0.0.0"])
    assert result.returncode == 2
    assert all(name in result.stderr for name in ("MARQUEE_CALLERS", "MARQUEE_ALLOW_ANONYMOUS=true"))


def test_off_the_loopback_it_asks_for_what_the_environment_says(tmp_path: Path) -> None:
    """The demo passes with TLS and a token, which the recognizers are not asked for; it says where the page answers."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    (tmp_path / "callers").write_text(f"sha256:{hashlib.sha256(b'sesame').hexdigest()} name=demo scopes=recognize\n")
    server = {"CALLERS": "callers", "TLS_CERT": "chain.pem", "TLS_KEY": "key.pem", "CA": "ca.pem"}
    environment = {f"MARQUEE_{name}": str(tmp_path / file) for name, file in server.items()}
    result = _demo(tmp_path, "--host", "0.0.0.0", **environment | {"MARQUEE_TOKEN": "sesame"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert "The page answers for https://localhost:" in result.stdout


@contextmanager
def _listening(port: int) -> Iterator[None]:
    """Take the port, unless somebody else has it already."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError:
        yield
        return
    with listener:
        yield


def _text(path: Path) -> str:
    return path.read_text("utf-8")


def _demo(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ports = ("--port", str(free_port()), "--web-port", str(free_port()))
    command = [sys.executable, "-m", "local", "--once", "--state", state, *ports, *arguments]
    return run(command, env=os.environ | environment)
