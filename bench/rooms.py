"""Count the project's files whose functions run during one call: those that a reader has to open to follow it.

usage: PYTHONPATH=. python bench/rooms.py [--list] [CHECKOUT ...]

Runs each checkout (by default this one) with this Python and a profile hook: its gateway, svm and rekognition as
separate processes, and the `marquee` command. Generated code (marquee/v1) does not count, nor does code that runs only
when a module is imported. With several checkouts, the last count is also given as a share of the first.
`--list` names the files.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.checkouts import SECONDS, process, running, until
from marquee import Client

_TRACER = Path(__file__).resolve().with_name("call_trace.py")
_PERSON = "grace-hopper"
_REPETITIONS = 8
_Files = dict[str, set[str]]


def main(checkouts: list[Path], *, list_files: bool) -> None:
    """Print a Markdown table with a row for each call."""
    counts = [_measure(checkout.resolve()) for checkout in checkouts]
    print("| one call | " + " | ".join(f"files of {checkout.resolve().name}" for checkout in checkouts) + " |")
    print("|---" * (1 + len(checkouts)) + "|")
    for call in counts[0]:
        numbers = [len(count[call]) for count in counts]
        share = f" ({numbers[-1] / numbers[0]:.0%})" if len(numbers) > 1 else ""
        print(f"| {call} | " + " | ".join(map(str, numbers)) + f"{share} |")
    if list_files:
        print(json.dumps([{call: sorted(files) for call, files in count.items()} for count in counts], indent=1))


def _measure(root: Path) -> _Files:
    """Return the names of the files that run, by call."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def tracer(server: str) -> list[str]:
            return [str(_TRACER), str(root), str(folder / f"{server}.json"), f"services.{server}"]

        with running(root, folder, tracer) as servers:
            traces = {
                server: _Trace(process, folder / f"{server}.json") for server, process in servers.processes.items()
            }
            both = [traces["gateway"], traces["svm"]]
            picture = servers.pictures / "hopper.jpg"
            gateway, rekognition = servers.addresses["gateway"], servers.addresses["rekognition"]
            return {
                "recognition through gateway and svm": _during(both, lambda: _recognize(gateway, picture)),
                "enrollment through gateway and svm": _during(
                    both, lambda: _enroll(gateway, picture), lambda: _remove(gateway)
                ),
                "Rekognition with a daily cap": _during(
                    [traces["rekognition"]], lambda: _recognize(rekognition, picture)
                ),
                "`marquee enroll`": _command(root, folder / "command.json", gateway, picture),
            }


class _Trace:
    """A traced process and the file that it writes."""

    def __init__(self, server: subprocess.Popen[bytes], output: Path) -> None:
        self._process = server
        self._output = output

    def clear(self) -> None:
        self._process.send_signal(signal.SIGUSR1)

    def files(self) -> set[str]:
        self._output.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR2)
        until(self._output.exists)
        return set(json.loads(self._output.read_text()))


def _during(traces: list[_Trace], call: Callable[[], None], undo: Callable[[], None] = lambda: None) -> set[str]:
    """Return the files that run in the servers during every repetition of a call, which leaves out background tasks."""
    repetitions = []
    for _ in range(1 + _REPETITIONS):  # the first call warms up and does not count
        for trace in traces:
            trace.clear()
        time.sleep(0.05)  # the server handles the signal at its next bytecode
        call()
        repetitions.append(set().union(*(trace.files() for trace in traces)))
        undo()
    return set.intersection(*repetitions[1:])


def _recognize(address: str, picture: Path) -> None:
    with Client(address) as client:
        response = client.recognize(picture, timeout=SECONDS, no_cache=True)
    assert all(result.outcome.name == "OK" for result in response.results), response  # noqa: S101


def _enroll(address: str, picture: Path) -> None:
    with Client(address) as client:
        client.enroll([picture], display_name="Grace Hopper", person_id=_PERSON, timeout=SECONDS)


def _remove(address: str) -> None:
    with Client(address) as client:
        client.remove_person(_PERSON, timeout=SECONDS)


def _command(root: Path, output: Path, gateway: str, picture: Path) -> set[str]:
    enroll = ("enroll", "--address", gateway, "--person-id", _PERSON, "--name", "Grace Hopper", str(picture))
    with process(root, str(_TRACER), str(root), str(output), "marquee", *enroll) as command:
        assert command.wait(SECONDS) == 0  # noqa: S101
    return set(json.loads(output.read_text()))


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--list"]
    checkouts = [Path(argument) for argument in arguments] or [Path(__file__).resolve().parents[1]]
    main(checkouts, list_files="--list" in sys.argv)
