"""Load from ghz: calls with a picture of their own each, all of which have to be answered by all recognizers."""

import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import proto

from bench.gateway.sides import NAMES, THIS, Recognizers, Side
from bench.gateway.wire import OURS, Wire
from marquee.v1 import recognizer_pb2 as pb
from tests.support.golang import CONTRACT
from tests.support.processes import run

_numbers = itertools.count(1)
"""Numbers of pictures, of which none is used twice."""


def say(text: str) -> None:
    """Tell whoever waits what is measured now."""
    sys.stderr.write(f"{text} …\n")


class Failure(Exception):
    """A run that does not count."""


@dataclass(frozen=True)
class Load:
    """So many calls, so many at a time, with pictures of so many bytes."""

    calls: int
    concurrency: int
    size: int

    def __str__(self) -> str:
        size = f"{self.size / 1e6:g} MB" if self.size >= 1e6 else f"{self.size / 1e3:g} KB"  # noqa: PLR2004
        return f"{size}, c={self.concurrency}"


class Ghz:
    """The load generator."""

    def __init__(self, program: str | None, build: Path) -> None:
        """Take the program from PATH unless it is named; `build` is the folder with the compiled contract."""
        found = shutil.which(program or "ghz")
        if found is None:
            sys.exit(f"{program or 'ghz'} is not there. Install it (https://ghz.sh), or name it by --ghz.")
        self._program = found
        self._contract = build / CONTRACT

    def call(
        self, address: str, load: Load, content: Sequence[bytes], wire: Wire = OURS, *, may_refuse: bool = False
    ) -> list[float]:
        """Make the calls with these pictures in turn, and return the milliseconds of those that succeed.

        Raises Failure for any error; but for one that says that there is too much to do if the server may refuse calls.
        """
        with tempfile.NamedTemporaryFile() as file:
            for one in content:
                proto.serialize_length_prefixed(wire.request(one), file)  # type: ignore[arg-type] # any file does
            file.flush()
            command = [self._program, "--insecure", "-O", "json"]
            command += ["--protoset", str(wire.contract or self._contract), "--call", wire.method]
            amount = ["-c", str(load.concurrency), "-n", str(load.calls), "-t", "60s"]
            done = run([*command, *amount, "-B", file.name, address])
        if done.returncode:
            raise Failure(done.stderr or done.stdout)
        report: dict[str, Any] = json.loads(done.stdout)
        codes = set(report["statusCodeDistribution"])
        if report["count"] != load.calls or codes - ({"OK", "ResourceExhausted"} if may_refuse else {"OK"}):
            raise Failure(f"{address}: {report['statusCodeDistribution']} {report['errorDistribution']}")
        return [call["latency"] / 1e6 for call in report["details"] if call["status"] == "OK"]


def picture(size: int) -> bytes:
    """Return a picture that was not there before; nothing but its first eight bytes says which.

    They are hexadecimal digits: ghz would take two braces for the begin of a template.
    """
    return f"{next(_numbers):08x}".encode().ljust(size, b"\xff")


def measure(ghz: Ghz, side: Side, load: Load, behind: Recognizers) -> tuple[float, list[float]]:
    """Return the side's processor milliseconds a call, and the milliseconds of each call.

    Raises Failure unless all is answered, every picture is another one, and each was asked of every recognizer.
    """
    check(side)
    before, hits = behind.counts(), side.metric("marquee_cache_", 'outcome="hit"')
    content = [picture(load.size) for _ in range(load.calls)]
    spent = side.cpu_ms()
    latencies = ghz.call(side.address, load, content, side.wire)
    spent = side.cpu_ms() - spent
    done = [(calls - old[0], kinds - old[1]) for (calls, kinds), old in zip(behind.counts(), before, strict=True)]
    if any(one != (load.calls, load.calls) for one in done):
        raise Failure(f"{side.name}: {load.calls} calls made, at the recognizers (calls, pictures) {done}")
    if side.metric("marquee_cache_", 'outcome="hit"') != hits:
        raise Failure(f"{side.name}: the cache answered.")
    return spent / load.calls, latencies


def check(side: Side) -> None:
    """Make a call and raise Failure unless it is answered by all recognizers, and by a gateway with a verdict."""
    response = side.wire.recognize(side.address, picture(1000))
    check_answer(response)
    states = [verdict.state for verdict in response.verdicts]
    if states != ([pb.VERDICT_STATE_IDENTIFIED] if side.metrics_url else []):
        raise Failure(f"{side.name} answered {response}")
    if side.name == THIS and response.verdicts[0].basis != pb.VERDICT_BASIS_CALIBRATED:
        raise Failure(f"{side.name} has no use for its table of calibration: {response}")


def check_answer(response: pb.RecognizeImageResponse, *, from_cache: bool = False) -> None:
    """Raise Failure unless the answer has all recognizers' results, with a name each, and all of them from a cache."""
    found = {result.recognizer: (result.outcome, len(result.faces), result.from_cache) for result in response.results}
    if found != dict.fromkeys(NAMES, (pb.OUTCOME_OK, 1, from_cache)):
        raise Failure(f"(outcome, faces, from_cache) of the recognizers: {found}")
