"""10,000 calls to two replicas, with faults, and money for 6,000: is anything wrong, lost, late or too expensive?

usage: PYTHONPATH=. python bench/rekognition/budget.py [--calls 10000] [--chart bench/rekognition/budget.png]

Every picture is another one, and the stand-in names its hash, so that an answer to another call shows.
Every tenth call has 200 ms only, so that retries meet their deadlines. Exits with 1 where a claim fails.
"""

import argparse
import asyncio
import io
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import boto3
import grpc
from parts import counts_of, replicas, stub, table
from PIL import Image
from stub import name_of
from table import TABLE, create

from local.stack import CREDENTIALS
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from services.runtime import status

AT_ONCE = 16
PATIENT, HASTY = 60.0, 0.2
FAULTS = {"throttle": 0.05, "error": 0.01, "reset": 0.01, "latency": 0.02}


@dataclass
class Ran:
    """What became of the calls."""

    begin: float = field(default_factory=time.monotonic)
    ends: Counter[str] = field(default_factory=Counter)
    deadlines: dict[str, float] = field(default_factory=dict)
    """When each picture's caller gives up."""
    cost: int = 0
    """Micro-dollars, as the answers tell."""
    curve: list[tuple[float, int, int, int]] = field(default_factory=list)
    """Seconds, answers, refusals for want of money, micro-dollars in the table."""


async def call_all(addresses: list[str], calls: int, table_url: str) -> Ran:
    """Make the calls, and watches the money."""
    ran, numbers = Ran(), iter(range(calls))
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(ran, table_url))
        async with asyncio.TaskGroup() as callers:
            for _, address in zip(range(AT_ONCE), cycle(addresses), strict=False):
                callers.create_task(call_some(address, numbers, ran))
        watching.cancel()
    return ran


async def call_some(address: str, numbers: "iter[int]", ran: Ran) -> None:
    """One caller: the next number as soon as the last is done."""
    blank = picture()
    async with grpc.aio.insecure_channel(address) as channel:
        for number in numbers:
            content = blank + str(number).encode()
            timeout = HASTY if number % 10 == 0 else PATIENT
            request = pb.RecognizeImageRequest(image=pb.Image(content=content), features=[pb.FEATURE_CELEBRITIES])
            ran.deadlines[name_of(content)] = time.monotonic() + timeout
            try:
                answer = await RecognizerServiceStub(channel).RecognizeImage(request, timeout=timeout)
            except grpc.aio.AioRpcError as error:
                ran.ends[reason(error, hasty=timeout == HASTY)] += 1
            else:
                ran.cost += answer.cost_micro_usd
                right = answer.results[0].faces[0].candidates[0].display_name == name_of(content)
                ran.ends["right" if right else "wrong"] += 1


def reason(error: grpc.aio.AioRpcError, *, hasty: bool) -> str:
    """Why there is no answer; a deadline counts as its caller's own only where that was short."""
    if hasty and error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return "deadline of 200 ms"
    error_status = status.from_rpc_error(error)
    reason = status.reason_of(error_status) or error.code().name
    return f"{reason} within 200 ms" if hasty and reason != "BUDGET_EXHAUSTED" else reason


async def watch(ran: Ran, table_url: str) -> None:
    """Read the table twice a second."""
    client = boto3.client("dynamodb", endpoint_url=table_url)
    while True:
        spent = await asyncio.to_thread(spending, client)
        ran.curve.append((time.monotonic() - ran.begin, ran.ends["right"], ran.ends["BUDGET_EXHAUSTED"], spent))
        await asyncio.sleep(0.5)


def spending(client: object) -> int:
    """Micro-dollars that the table says are spent or reserved."""
    response = client.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "spending"}},
    )
    return sum(int(item["micro_usd"]["N"]) for item in response["Items"])


def picture() -> bytes:
    """Return a small JPEG; what follows its end is nobody's business."""
    buffer = io.BytesIO()
    Image.new("RGB", (100, 100), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def draw(ran: Ran, cap: int, path: Path) -> None:
    """Money and answers over time."""
    import matplotlib as mpl  # noqa: PLC0415 - the numbers need it not

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - likewise

    seconds, right, refused, spent = zip(*ran.curve, strict=True)
    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    axis.axhline(cap / 1e6, color="#c0392b", linestyle="--", linewidth=1, label="cap")
    axis.plot(seconds, [micro / 1e6 for micro in spent], color="#c0392b", label="spent or reserved")
    axis.set(xlabel="seconds", ylabel="US dollars", ylim=(0, cap / 1e6 * 1.2))
    calls = axis.twinx()
    calls.plot(seconds, right, color="#2471a3", label="right answers")
    calls.plot(seconds, refused, color="#7f8c8d", label="BUDGET_EXHAUSTED")
    calls.set(ylabel="calls", ylim=(0, cap / 1e3 * 1.2))
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run, print a Markdown table and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--chart", type=Path)
    args = parser.parse_args()
    os.environ.update(CREDENTIALS)
    cap = args.calls * 600
    with table() as table_url, stub(**FAULTS) as aws_url:
        create(table_url)
        environment = {
            "MARQUEE_REKOGNITION_ENDPOINT_URL": aws_url,
            "MARQUEE_DYNAMODB_ENDPOINT_URL": table_url,
            "MARQUEE_REKOGNITION_TABLE": TABLE,
            "MARQUEE_REKOGNITION_DAILY_CAP_USD": str(cap / 1e6),
            "MARQUEE_REKOGNITION_RATE": "10000",
        }
        with replicas(2, **environment) as addresses:
            ran = asyncio.run(call_all(addresses, args.calls, table_url))
        counts, spent = counts_of(aws_url), spending(boto3.client("dynamodb", endpoint_url=table_url))
    if args.chart:
        draw(ran, cap, args.chart)
    sys.exit(report(ran, counts, spent, cap))


def report(ran: Ran, counts: dict, spent: int, cap: int) -> int:
    """Print what was measured; 1 where something is not as it must be."""
    late = [when - ran.deadlines[name] for name, when in counts.pop("requests") if when > ran.deadlines[name]]
    most = max(money for *_, money in ran.curve)
    print("| what | measured |\n|---|---|")
    print(f"| calls, seconds | {sum(ran.ends.values())}, {time.monotonic() - ran.begin:.0f} |")
    for end, count in ran.ends.most_common():
        print(f"| {end} | {count} |")
    print(f"| cap; spent or reserved at the end, at most; told in answers | {cap}; {spent}, {most}; {ran.cost} |")
    print(f"| billed by the stand-in | {counts['billed'] * 1000} |")
    print(f"| stand-in: answered, throttled, 500, reset | {', '.join(_kinds(counts))} |")
    print(f"| requests that came after their caller's deadline | {len(late)}, by {max(late, default=0):.3f} s |")
    fine = {"right", "BUDGET_EXHAUSTED", "deadline of 200 ms"}
    unfit = [end for end in ran.ends if end not in fine and not end.endswith("within 200 ms")]
    return int(bool(unfit or late or max(spent, most) > cap or counts["billed"] * 1000 > cap))


def _kinds(counts: dict) -> list[str]:
    return [str(counts.get(kind, 0)) for kind in ("answered", "throttled", "failed", "reset")]


if __name__ == "__main__":
    main()
