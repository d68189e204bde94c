"""Measure the Keras adapter and the local TensorFlow Serving API, each side by side with the layer beneath it.

usage: PYTHONPATH=. python bench/keras/serving.py MODEL [--seconds 5] [--rounds 5] [--python PYTHON]

MODEL holds <version>/model.onnx as services.keras.convert writes it: a network for uint8 pictures of 224x224, whose
weights may be random. PYTHON, from another environment, runs the adapter. Prints Markdown rows.
"""

import argparse
import asyncio
import io
import os
import statistics
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
from processes import NAME, adapter, image_environment, server, start_seconds
from rates import Rate, print_rates
from tensorflow_serving.apis import model_pb2

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.keras.preprocess import to_pixels
from services.keras.serving.client import predict_request
from services.runtime.images.image import Image
from tests.support.processes import cpu_seconds, memory_mib

CALLERS = 8
PREDICT = "/tensorflow.serving.PredictionService/Predict"
RECOGNIZE = "/marquee.v1.RecognizerService/RecognizeImage"
Call = Callable[[], Awaitable[object]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    print("| what | measured |\n|---|---|")
    print(f"| bytes of a Predict, uint8 224x224 | {len(predict(jpeg(224, 90)))} |")
    with server(args.model) as (serving_process, serving_port):
        with image_environment(args.python, args.model, serving_port) as settings:
            starts = [start_seconds(args.python, args.model, serving_port, **settings) for _ in range(5)]
        wall, cpu = (statistics.median(column) for column in zip(*starts, strict=True))
        print(f"| adapter, start to SERVING, median of 5: passed / CPU time | {wall:.2f} / {cpu:.2f} s |", flush=True)
        with adapter(args.python, args.model, serving_port) as (process, adapter_port):
            asyncio.run(measure_one_caller(serving_port, adapter_port, process.pid, args.rounds))
        print_rates("bare onnxruntime", [onnx_rate(args.model, args.seconds) for _ in range(2)])
        for most in (1, 2, 4, 8, 16):
            settings = {"MARQUEE_KERAS_MAX_BATCH": str(most)}
            with adapter(args.python, args.model, serving_port, **settings) as (process, adapter_port):
                pids = (serving_process.pid, process.pid)
                asyncio.run(
                    compare_rates(args, f"adapter, at most {most} in a Predict", (serving_port, adapter_port), pids)
                )
                print(f"| its resident memory after that | {memory_mib(process.pid):.0f} MiB |", flush=True)


def jpeg(side: int, quality: int) -> bytes:
    """Return a square JPEG of a face."""
    buffer = io.BytesIO()
    photo("Eileen Collins").resize((side, side), Pillow.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    """Return the tensor that the adapter makes from the picture."""
    return to_pixels(Image(content).as_stored())


def predict(content: bytes) -> bytes:
    """Return the serialized PredictRequest that the adapter makes from the picture."""
    spec = model_pb2.ModelSpec(name=NAME)
    return predict_request(spec, pixels_of(content), "image", "scores").SerializeToString()


def recognize(content: bytes) -> bytes:
    """Return a serialized RecognizeImageRequest with the picture."""
    return pb.RecognizeImageRequest(image=pb.Image(content=content)).SerializeToString()


@contextmanager
def calls(serving_port: int, adapter_port: int, content: bytes) -> Iterator[tuple[Call, Call]]:
    """Yield functions that call the server and the adapter with prepared bytes, so that callers cost little."""
    with ExitStack() as stack:
        functions = []
        for port, path, request in (
            (serving_port, PREDICT, predict(content)),
            (adapter_port, RECOGNIZE, recognize(content)),
        ):
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.callback(lambda channel=channel: asyncio.get_running_loop().create_task(channel.close()))
            method = channel.unary_unary(path)
            functions.append(lambda method=method, request=request: method(request, timeout=30))
        yield functions[0], functions[1]


async def measure_one_caller(serving_port: int, adapter_port: int, pid: int, rounds: int) -> None:
    """Measure, with one caller, what the adapter adds to a Predict, and the time to decode the picture separately."""
    content = jpeg(640, 92)
    times: dict[str, list[float]] = {"direct": [], "adapter": [], "decode": []}
    cpu = decoding = 0.0
    with calls(serving_port, adapter_port, content) as (direct, through):
        for _ in range(40 * rounds):
            before = cpu_seconds(pid)
            times["adapter"].append(await seconds_of(through))
            cpu += cpu_seconds(pid) - before
            times["direct"].append(await seconds_of(direct))
            begin, begin_cpu = time.perf_counter(), time.thread_time()
            pixels_of(content)
            times["decode"].append(time.perf_counter() - begin)
            decoding += time.thread_time() - begin_cpu
    middle = {name: statistics.median(values) * 1000 for name, values in times.items()}
    added = statistics.median(
        a - d - p for a, d, p in zip(*(times[k] for k in ("adapter", "direct", "decode")), strict=True)
    )
    print(f"| one caller, p50: Predict alone | {middle['direct']:.2f} ms |")
    print(f"| … through the adapter, a JPEG of {len(content) // 1000} KB | {middle['adapter']:.2f} ms |")
    print(f"| … decoding that | {middle['decode']:.2f} ms |")
    print(f"| … adapter's own time added, p50 of {len(times['adapter'])} | {added * 1000:.2f} ms |")
    mean = (cpu - decoding) / len(times["adapter"])
    print(
        f"| … adapter's CPU time a call, decoding apart ({decoding / len(times['decode']) * 1000:.2f} ms) | "
        f"{mean * 1000:.2f} ms |",
        flush=True,
    )


async def seconds_of(call: Call) -> float:
    """Return how many seconds a call takes."""
    begin = time.perf_counter()
    await call()
    return time.perf_counter() - begin


async def compare_rates(args: argparse.Namespace, name: str, ports: tuple[int, int], pids: tuple[int, ...]) -> None:
    """Compare bare onnxruntime, the server, and the adapter in front of it, in alternation."""
    bare, direct, through = [], [], []
    for _ in range(args.rounds):
        with calls(*ports, jpeg(224, 90)) as (predict_one, recognize_one):
            direct.append(await rate(predict_one, args.seconds, pids))
            through.append(await rate(recognize_one, args.seconds, pids))
        bare.append(await asyncio.to_thread(onnx_rate, args.model, args.seconds))
    print_rates("server alone", direct, bare)
    print_rates(name, through, direct)


async def rate(call: Call, seconds: float, pids: tuple[int, ...]) -> Rate:
    """Return the rate of calls from CALLERS concurrent callers."""
    begin, done = time.perf_counter(), 0
    before = time.process_time() + sum(map(cpu_seconds, pids))

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < begin + seconds:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    cpu = time.process_time() + sum(map(cpu_seconds, pids)) - before
    return Rate(done / (time.perf_counter() - begin), cpu / done)


def onnx_rate(model: Path, seconds: float) -> Rate:
    """Return the rate of the newest version, run as the server runs it: one thread per core, one picture per run."""
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

    begin, before = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        done = sum(threads.map(run, range(os.cpu_count() or 1)))
    return Rate(done / (time.perf_counter() - begin), (time.process_time() - before) / done)


if __name__ == "__main__":
    main()
