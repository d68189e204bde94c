"""Measures the Keras adapter and the local TensorFlow Serving API, each against what it stands on, side by side.

usage: PYTHONPATH=. python bench/keras/serving.py MODEL [--seconds 5] [--rounds 5] [--python PYTHON]

MODEL has <version>/model.onnx as services.keras.convert writes it, of a network for uint8 pictures of 224x224;
its weights may be random. PYTHON, another environment's, runs the adapter. Prints Markdown rows.
"""

import argparse
import asyncio
import io
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import numpy as np
import onnxruntime
from PIL import Image as Pillow
from tensorflow_serving.apis import model_pb2

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.keras.preprocess import to_pixels
from services.keras.serving import predict_request
from services.runtime.images import Image
from tests.processes import ROOT, free_port, serving, wait_until

CALLERS = 8
NAME = "bench"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
RECOGNIZE = "/marquee.v1.RecognizerService/RecognizeImage"
Call = Callable[[], Awaitable[object]]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    asked = parser.parse_args()
    print("| what | measured |\n|---|---|")
    print(f"| bytes of a Predict, uint8 224x224 | {len(predict(jpeg(224, 90)))} |")
    with server(asked.model) as served:
        starts = [started(asked.python, asked.model, served) for _ in range(5)]
        wall, cpu = (statistics.median(column) for column in zip(*starts, strict=True))
        print(f"| adapter, start to SERVING, median of 5: passed / CPU time | {wall:.2f} / {cpu:.2f} s |", flush=True)
        with adapter(asked.python, asked.model, served) as (process, own):
            asyncio.run(alone(served, own, asked.rounds))
            asyncio.run(together(asked.model, served, own, asked.seconds, asked.rounds))
            print(f"| adapter, resident after that | {resident(process.pid):.0f} MiB |")
        for most in (1, 2, 4, 8, 16):
            with adapter(asked.python, asked.model, served, MARQUEE_KERAS_MAX_BATCH=str(most)) as (_, own):
                asyncio.run(batches(most, served, own, asked.seconds, asked.rounds))


@contextmanager
def server(model: Path) -> Iterator[int]:
    """The local server on a free port."""
    port = free_port()
    flags = ("--model_name", NAME, "--model_base_path", str(model.resolve()), "--enable_grpc_healthcheck_service")
    with running([sys.executable, "-m", "local.tf_serving", *flags, "--port", str(port)], {}, port):
        yield port


@contextmanager
def adapter(python: str, model: Path, served: int, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The adapter before it: its process and port."""
    port = free_port()
    own = {
        "MARQUEE_PORT": str(port),
        "MARQUEE_METRICS_PORT": str(free_port()),
        "MARQUEE_KERAS_TARGET": f"127.0.0.1:{served}",
        "MARQUEE_KERAS_MODEL": NAME,
        "MARQUEE_KERAS_ASSETS": str(model.resolve()),
        "PYTHONPATH": str(ROOT),
    }
    with running([python, "-m", "services.keras"], own | settings, port) as process:
        yield process, port


@contextmanager
def running(command: list[str], environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process, once its health is SERVING."""
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: serving(f"127.0.0.1:{port}"), 60)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def started(python: str, model: Path, served: int) -> tuple[float, float]:
    """Seconds from the adapter's start to SERVING, and those that it computed."""
    begin = time.perf_counter()
    with adapter(python, model, served) as (process, _):
        return time.perf_counter() - begin, cpu_seconds(process.pid)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """MiB that a process holds."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def jpeg(side: int, quality: int) -> bytes:
    """A face, as a square JPEG."""
    buffer = io.BytesIO()
    photo("Eileen Collins").resize((side, side), Pillow.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    """The tensor that the adapter makes of it."""
    return to_pixels(Image(content).as_stored())


def predict(content: bytes) -> bytes:
    """The PredictRequest that the adapter makes of it."""
    spec = model_pb2.ModelSpec(name=NAME)
    return predict_request(spec, pixels_of(content), "image", "scores").SerializeToString()


def recognize(content: bytes) -> bytes:
    """The RecognizeImageRequest with it."""
    return pb.RecognizeImageRequest(image=pb.Image(content=content)).SerializeToString()


@contextmanager
def calls(served: int, own: int, content: bytes) -> Iterator[tuple[Call, Call]]:
    """Ways to ask the server and the adapter, with ready bytes: the callers must not be what is measured."""
    with ExitStack() as stack:
        made = []
        for port, method, request in ((served, PREDICT, predict(content)), (own, RECOGNIZE, recognize(content))):
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.callback(lambda channel=channel: asyncio.get_running_loop().create_task(channel.close()))
            ask = channel.unary_unary(method)
            made.append(lambda ask=ask, request=request: ask(request, timeout=30))
        yield made[0], made[1]


async def alone(served: int, own: int, rounds: int) -> None:
    """One caller: what the adapter adds to a Predict, without decoding; and the latter apart."""
    content = jpeg(640, 95)
    times: dict[str, list[float]] = {"direct": [], "adapter": [], "decode": []}
    with calls(served, own, content) as (direct, through):
        for number in range(100 * rounds):
            for name, call in (("direct", direct), ("adapter", through), ("decode", None)):
                begin = time.perf_counter()
                await call() if call else pixels_of(content)
                if number >= 20:  # noqa: PLR2004 - warm
                    times[name].append((time.perf_counter() - begin) * 1000)
    middle = {name: statistics.median(values) for name, values in times.items()}
    own_ms = [
        through - direct - decode
        for through, direct, decode in zip(*(times[k] for k in ("adapter", "direct", "decode")), strict=True)
    ]
    print(
        f"| one caller, p50: Predict / through the adapter, a JPEG of {len(content) // 1000} KB / decoding it | "
        f"{middle['direct']:.2f} / {middle['adapter']:.2f} / {middle['decode']:.2f} ms |"
    )
    print(f"| adapter's own time, p50 of {len(own_ms)} triples | {statistics.median(own_ms):.2f} ms |", flush=True)


async def together(model: Path, served: int, own: int, seconds: float, rounds: int) -> None:
    """Eight callers: bare onnxruntime, the server, the adapter before it."""
    bare, direct, through = [], [], []
    for _ in range(rounds):
        bare.append(await asyncio.to_thread(onnx_rate, model, seconds))
        with calls(served, own, jpeg(224, 90)) as (ask, recognize_one):
            direct.append(await rate(ask, seconds))
            through.append(await rate(recognize_one, seconds))
    print(f"| bare onnxruntime, {CALLERS} callers | {statistics.median(bare):.0f} images/s |")
    print(f"| server alone | {statistics.median(direct):.0f} images/s, {ratio(direct, bare)} of bare |")
    print(
        f"| adapter and server | {statistics.median(through):.0f} images/s, {ratio(through, direct)} of the server |",
        flush=True,
    )


async def batches(most: int, served: int, own: int, seconds: float, rounds: int) -> None:
    """The adapter with so many pictures in a Predict, against the server alone."""
    direct, through = [], []
    for _ in range(rounds):
        with calls(served, own, jpeg(224, 90)) as (ask, recognize_one):
            direct.append(await rate(ask, seconds))
            through.append(await rate(recognize_one, seconds))
    print(
        f"| adapter and server, at most {most} in a Predict | {statistics.median(through):.0f} images/s, "
        f"{ratio(through, direct)} of the server |",
        flush=True,
    )


def ratio(one: list[float], other: list[float]) -> str:
    """Of pairs measured next to each other: median, least and most."""
    shares = [a / b for a, b in zip(one, other, strict=True)]
    return f"{statistics.median(shares):.2f} ({min(shares):.2f}-{max(shares):.2f})"


async def rate(call: Call, seconds: float) -> float:
    """Answers a second for CALLERS callers."""
    end, done = time.perf_counter() + seconds, 0

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - begin)


def onnx_rate(model: Path, seconds: float) -> float:
    """Runs a second of the newest version, as the server runs it: a thread a core, one picture a run."""
    newest = max(model.glob("*/model.onnx"), key=lambda path: int(path.parent.name))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(newest, options, providers=["CPUExecutionProvider"])
    picture = {"image": pixels_of(jpeg(224, 90))}
    session.run(None, picture)
    end = time.perf_counter() + seconds

    def run(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            session.run(None, picture)
            done += 1
        return done

    begin = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        done = sum(threads.map(run, range(os.cpu_count() or 1)))
    return done / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
