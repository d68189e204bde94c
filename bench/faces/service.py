"""Measure the SVM service of one or two checkouts over gRPC: its start, speed, page faults and memory.

usage: PYTHONPATH=.:bench python bench/faces/service.py ../shared/data/actors ROOT=MODEL [ROOT=MODEL] [--pictures 5000]

ROOT is a checkout, and MODEL a file of its trainer. Measurements alternate between the checkouts. Prints Markdown rows;
calls have one 1280x960 JPEG with one face, four at a time. Takes some ten minutes for 5,000 pictures.
"""

import argparse
import io
import itertools
import socket
import statistics
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from checkouts import process, until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from svm_memory import mixed_pictures

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from tests.support.processes import free_port, memory_mib

_NAME = "marquee.v1.RecognizerService"
_ROUNDS, _CALLS, _AT_ONCE, _WARM_UP = 5, 60, 4, 0.2


@dataclass(frozen=True)
class Subject:
    """What is measured: a checkout and a model for it."""

    root: Path
    model: Path

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """Read ROOT=MODEL."""
        root, _, model = text.partition("=")
        return cls(Path(root).resolve(), Path(model).resolve())


@dataclass(frozen=True)
class Service:
    """A service that serves."""

    pid: int
    stub: recognizer_pb2_grpc.RecognizerServiceStub
    start: float
    """Seconds from the start of its process until its health was SERVING."""

    def recognize(self, contents: Iterable[bytes]) -> None:
        """Recognize all pictures, several at once; those that the service refuses count too."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(self._call, contents))

    def _call(self, content: bytes) -> None:
        try:
            self.stub.RecognizeImage(pb.RecognizeImageRequest(image=pb.Image(content=content)), timeout=120)
        except grpc.RpcError as exc:
            if exc.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise

    def spent(self) -> tuple[float, float, float]:
        """Return seconds of the clock and of the CPU, and page faults."""
        numbers = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return time.perf_counter(), (int(numbers[11]) + int(numbers[12])) / 100, int(numbers[7])


def one_face() -> bytes:
    """Return a JPEG of 1280x960 with one face."""
    buffer = io.BytesIO()
    photo("Eileen Collins").crop((0, 0, 512, 384)).resize((1280, 960)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def serving(subject: Subject, workers: int = 2) -> Iterator[Service]:
    """Run the subject's service; yield it once it serves."""
    port = free_port()
    own = {
        "PORT": str(port),
        "METRICS_PORT": str(free_port()),
        "WORKERS": str(workers),
        "SVM_MODEL": str(subject.model),
    }
    begin = time.perf_counter()
    with process(
        subject.root, "-m", "services.svm", **{f"MARQUEE_{key}": value for key, value in own.items()}
    ) as child:
        until(lambda: _listens(port))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            health = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=_NAME)
            until(lambda: health.Check(request, timeout=60).status == health_pb2.HealthCheckResponse.SERVING)
            start = time.perf_counter() - begin
            yield Service(child.pid, recognizer_pb2_grpc.RecognizerServiceStub(channel), start)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(subject: Subject) -> float:
    """Return the seconds until it serves."""
    with serving(subject) as service:
        return service.start


def rates(service: Service, content: bytes) -> tuple[float, float, float]:
    """Return pictures a second, and milliseconds of CPU and page faults a picture."""
    before = service.spent()
    service.recognize([content] * _CALLS)
    clock, cpu, faults = ((after - one) / _CALLS for one, after in zip(before, service.spent(), strict=True))
    return 1 / clock, cpu * 1000, faults


def measure_speed(subjects: list[Subject], workers: int) -> None:
    """Print what a call takes, in rounds that alternate between the subjects."""
    content, columns = one_face(), [[] for _ in subjects]  # type: tuple[bytes, list[list[tuple[float, float, float]]]]
    for _, (column, subject) in itertools.product(range(_ROUNDS), zip(columns, subjects, strict=True)):
        with serving(subject, workers) as service:
            service.recognize([content] * _AT_ONCE)
            column.append(rates(service, content))
    for index, what in enumerate(("pictures/s", "ms of CPU a picture", "page faults a picture")):
        medians = (statistics.median(rate[index] for rate in column) for column in columns)
        show(f"{workers} workers, {what}", [f"{median:.1f}" for median in medians])


def measure_memory(subject: Subject, contents: list[bytes], count: int) -> str:
    """Return the resident memory at the start, after a fifth of mixed pictures and after all, and its peak."""
    pictures = itertools.islice(itertools.cycle(contents), count)
    with serving(subject) as service:
        sizes = [memory_mib(service.pid)]
        for part in (int(count * _WARM_UP), count):
            service.recognize(list(itertools.islice(pictures, part)))
            sizes.append(memory_mib(service.pid))
        time.sleep(3)
        sizes += [memory_mib(service.pid), memory_mib(service.pid, "VmHWM")]
    return " / ".join(f"{size:.0f}" for size in sizes)


def show(what: str, values: list[str]) -> None:
    """Print a row."""
    print(f"| {what} | {' | '.join(values)} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actors", type=Path)
    parser.add_argument("subjects", nargs="+", type=Subject.parse, metavar="ROOT=MODEL")
    parser.add_argument("--pictures", type=int, default=5000)
    args = parser.parse_args()
    show("what", [str(subject.root.name) for subject in args.subjects])
    show("---", ["---"] * len(args.subjects))
    starts = list(zip(*([start(one) for one in args.subjects] for _ in range(_ROUNDS)), strict=True))
    show("start to SERVING, median", [f"{statistics.median(values):.2f} s" for values in starts])
    for workers in (1, 2):
        measure_speed(args.subjects, workers)
    contents = mixed_pictures(args.actors)
    sizes = [measure_memory(one, contents, args.pictures) for one in args.subjects]
    show(f"MiB: start / a fifth / {args.pictures:,} mixed pictures / 3 s later / peak", sizes)


if __name__ == "__main__":
    main()
