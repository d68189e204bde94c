"""Counts the project's files whose functions run during one call: how many a reader has to open to follow it.

usage: PYTHONPATH=. python bench/rooms.py [CHECKOUT ...]

Each checkout, by default this one, is run with this Python: its gateway, svm and rekognition as processes of their
own and the `marquee` command, all with a profile hook. Generated code (marquee/v1) does not count, nor does what
runs only when a module is imported. Two checkouts are compared by the share that the last has of the first.
"""

import asyncio
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve()
_ROOMS = ("marquee", "services")
_OPTIMIZED = 0x1  # inspect.CO_OPTIMIZED: a function's code; bodies of modules and classes lack it
_SECONDS = 120


def main(checkouts: list[Path]) -> None:
    """Prints a Markdown table, a row a call."""
    counts = [_measure(checkout.resolve()) for checkout in checkouts]
    print("| one call | " + " | ".join(f"files of {checkout.resolve().name}" for checkout in checkouts) + " |")
    print("|---" * (1 + len(checkouts)) + "|")
    for call in counts[0]:
        numbers = [count[call] for count in counts]
        share = f" ({len(numbers[-1]) / len(numbers[0]):.0%})" if len(numbers) > 1 else ""
        print(f"| {call} | " + " | ".join(str(len(files)) for files in numbers) + f"{share} |")
    if os.environ.get("ROOMS_FILES"):
        print(json.dumps([{call: sorted(files) for call, files in count.items()} for count in counts], indent=1))


def _measure(root: Path) -> dict[str, set[str]]:
    """The files by call."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _run(root, "local.pictures", "demo", str(folder / "pictures"))
        _run(root, "local.pictures", "gallery", str(folder / "people"))
        ports = dict(zip(("aws", "svm", "gateway", "rekognition"), _free_ports(4), strict=True))
        people = ("--gallery", str(folder / "people"))
        stack.enter_context(_process(root, ("-m", "local.rekognition", "--port", str(ports["aws"]), *people), {}))
        _until(lambda: _listens(ports["aws"]))
        config = folder / "gateway.yaml"
        config.write_text(f"recognizers: {{svm: {{target: '127.0.0.1:{ports['svm']}'}}}}\n")
        own = {
            "svm": {"SVM_GALLERY": str(folder / "gallery.npz"), "SVM_GALLERY_POLL_SECONDS": "60"},
            "gateway": {"GATEWAY_CONFIG": str(config)},
            "rekognition": {
                "REKOGNITION_ENDPOINT_URL": f"http://127.0.0.1:{ports['aws']}",
                "REKOGNITION_DAILY_CAP_USD": "5",
            },
        }
        servers = {
            name: stack.enter_context(_traced_server(root, name, ports[name], settings, folder))
            for name, settings in own.items()
        }
        picture = folder / "pictures" / "hopper.jpg"
        gateway = f"127.0.0.1:{ports['gateway']}"
        return {
            "recognition through gateway and svm": _during(
                [servers["gateway"], servers["svm"]], lambda: _recognize(gateway, picture)
            ),
            "enrollment through gateway and svm": _during(
                [servers["gateway"], servers["svm"]], lambda: _enroll(gateway, picture), lambda: _remove(gateway)
            ),
            "Rekognition with a daily cap": _during(
                [servers["rekognition"]], lambda: _recognize(f"127.0.0.1:{ports['rekognition']}", picture)
            ),
            "`marquee enroll`, the command": _command(
                root, folder, ("enroll", "--address", gateway, *_PERSON, str(picture))
            ),
        }


_PERSON = ("--person-id", "grace-hopper", "--name", "Grace Hopper")


class _Server:
    """A traced process."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    def clear(self) -> None:
        self._process.send_signal(signal.SIGUSR1)

    def files(self) -> set[str]:
        self._output.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR2)
        _until(self._output.exists)
        return set(json.loads(self._output.read_text()))


def _during(servers: list[_Server], call: Callable[[], None], undo: Callable[[], None] = lambda: None) -> set[str]:
    """What runs in the servers while one call does; another one, undone, has warmed them."""
    call()
    undo()
    for server in servers:
        server.clear()
    time.sleep(0.3)  # the handler runs between two bytecodes
    call()
    return set().union(*(server.files() for server in servers))


def _recognize(address: str, picture: Path) -> None:
    from marquee import Client  # noqa: PLC0415 - tracing must not import it

    with Client(address) as client:
        answer = client.recognize(picture, timeout=_SECONDS)
    assert all(result.outcome.name == "OK" for result in answer.results), answer  # noqa: S101


def _enroll(address: str, picture: Path) -> None:
    from marquee import Client  # noqa: PLC0415 - tracing must not import it

    with Client(address) as client:
        client.enroll([picture], display_name="Grace Hopper", person_id="grace-hopper", timeout=_SECONDS)


def _remove(address: str) -> None:
    from marquee import Client  # noqa: PLC0415 - tracing must not import it

    with Client(address) as client:
        client.remove_person("grace-hopper", timeout=_SECONDS)


def _command(root: Path, folder: Path, arguments: tuple[str, ...]) -> set[str]:
    output = folder / "command.json"
    command = (str(HERE), "--trace", str(root), str(output), "marquee", *arguments)
    with _process(root, command, {}) as process:
        assert process.wait(_SECONDS) == 0  # noqa: S101
    return set(json.loads(output.read_text()))


@contextmanager
def _traced_server(root: Path, name: str, port: int, settings: dict[str, str], folder: Path) -> Iterator[_Server]:
    output = folder / f"{name}.json"
    own = {"PORT": str(port), "METRICS_PORT": str(_free_ports(1)[0])} | settings
    environment = {f"MARQUEE_{key}": value for key, value in own.items()}
    command = (str(HERE), "--trace", str(root), str(output), f"services.{name}")
    with _process(root, command, environment) as process:
        _until(lambda: _serves(port))
        yield _Server(process, output)


@contextmanager
def _process(root: Path, command: tuple[str, ...], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    credentials = {f"AWS_{key}": "local" for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
    own = {"PYTHONPATH": str(root), "AWS_DEFAULT_REGION": "us-east-1"} | credentials | environment
    process = subprocess.Popen(
        [sys.executable, *command], cwd=root, env=os.environ | own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def _run(root: Path, *module: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-m", *module], cwd=root, env=environment, check=True, timeout=_SECONDS)


def _trace(root: Path, output: Path, module: str, arguments: list[str]) -> None:
    """Runs the module in this process; SIGUSR1 forgets the files, SIGUSR2 and the process's end write them."""
    files: set[str] = set()
    rooms = tuple(f"{root / room}{os.sep}" for room in _ROOMS)
    generated = str(root / "marquee" / "v1")

    def profile(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = code.co_filename
        is_call = event == "call" and code.co_flags & _OPTIMIZED
        if is_call and path.startswith(rooms) and not path.startswith(generated):
            files.add(path.removeprefix(f"{root}{os.sep}"))

    def write(*_: object) -> None:
        fresh = output.with_suffix(".new")
        fresh.write_text(json.dumps(sorted(files)))
        fresh.replace(output)

    signal.signal(signal.SIGUSR1, lambda *_: files.clear())
    signal.signal(signal.SIGUSR2, write)
    sys.path[0] = str(root)
    sys.argv = [module, *arguments]
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.setprofile(None)
        write()


def _serves(port: int) -> bool:
    import grpc  # noqa: PLC0415 - tracing must not import it
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    async def check() -> bool:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    try:
        return asyncio.run(check())
    except grpc.RpcError:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {_SECONDS} s")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trace"]:
        _trace(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5:])
    else:
        main([Path(argument) for argument in sys.argv[1:]] or [HERE.parents[1]])
