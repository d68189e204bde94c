"""Check that no call is wrong, lost, late or too expensive: 10,000 to two replicas, with faults, and money for 6,000.

usage: PYTHONPATH=. python bench/rekognition/budget.py [--calls 10000] [--chart bench/rekognition/budget.png]

Every call sends a different picture and the stand-in names its hash, which exposes an answer to another call. Every
tenth call has a deadline of 200 ms, so that retries run into it. Exits with 1 if an outcome is unexpected, a request
is late or the spending exceeds the cap.
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
class Tally:
    """The outcomes, deadlines and cost of the calls."""

    begin: float = field(default_factory=time.monotonic)
    ends: Counter[str] = field(default_factory=Counter)
    deadlines: dict[str, float] = field(default_factory=dict)
    """The time at which each picture's caller gives up."""
    cost: int = 0
    """The sum of the micro-dollars that the answers report."""
    curve: list[tuple[float, int, int, int]] = field(default_factory=list)
    """Over time: seconds, right answers, refusals by the budget, micro-dollars in the table."""


async def call_all(addresses: list[str], calls: int, table_url: str) -> Tally:
    """Make the calls and record the spending meanwhile."""
    tally, numbers = Tally(), iter(range(calls))
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(tally, table_url))
        async with asyncio.TaskGroup() as callers:
            for _, address in zip(range(AT_ONCE), cycle(addresses), strict=False):
                callers.create_task(call_some(address, numbers, tally))
        watching.cancel()
    return tally


async def call_some(address: str, numbers: "iter[int]", tally: Tally) -> None:
    """Make one call after another until the numbers run out."""
    blank = picture()
    async with grpc.aio.insecure_channel(address) as channel:
        for number in numbers:
            content = blank + str(number).encode()
            timeout = HASTY if number % 10 == 0 else PATIENT
            request = pb.RecognizeImageRequest(image=pb.Image(content=content), features=[pb.FEATURE_CELEBRITIES])
            tally.deadlines[name_of(content)] = time.monotonic() + timeout
            try:
                response = await RecognizerServiceStub(channel).RecognizeImage(request, timeout=timeout)
            except grpc.aio.AioRpcError as error:
                tally.ends[reason(error, hasty=timeout == HASTY)] += 1
            else:
                tally.cost += response.cost_micro_usd
                right = response.results[0].faces[0].candidates[0].display_name == name_of(content)
                tally.ends["right" if right else "wrong"] += 1


def reason(error: grpc.aio.AioRpcError, *, hasty: bool) -> str:
    """Return why a call failed; only a hasty call's expired deadline counts as its caller's own doing."""
    if hasty and error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return "deadline of 200 ms"
    error_status = status.from_rpc_error(error)
    reason = status.reason_of(error_status) or error.code().name
    return f"{reason} within 200 ms" if hasty and reason != "BUDGET_EXHAUSTED" else reason


async def watch(tally: Tally, table_url: str) -> None:
    """Record the outcomes and the spending twice a second."""
    client = boto3.client("dynamodb", endpoint_url=table_url)
    while True:
        spent = await asyncio.to_thread(spending, client)
        tally.curve.append((time.monotonic() - tally.begin, tally.ends["right"], tally.ends["BUDGET_EXHAUSTED"], spent))
        await asyncio.sleep(0.5)


def spending(client: object) -> int:
    """Return the micro-dollars that the table lists as spent or reserved."""
    response = client.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "spending"}},
    )
    return sum(int(item["micro_usd"]["N"]) for item in response["Items"])


def picture() -> bytes:
    """Return a small JPEG; decoders ignore bytes appended to it."""
    buffer = io.BytesIO()
    Image.new("RGB", (100, 100), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def draw(tally: Tally, cap: int, path: Path) -> None:
    """Draw a chart of the spending and the answers over time."""
    import matplotlib as mpl  # noqa: PLC0415 - only the chart needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - likewise

    seconds, right, refused, spent = zip(*tally.curve, strict=True)
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
    """Run the calls, print a Markdown table, and exit with its verdict."""
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
            tally = asyncio.run(call_all(addresses, args.calls, table_url))
        counts, spent = counts_of(aws_url), spending(boto3.client("dynamodb", endpoint_url=table_url))
    if args.chart:
        draw(tally, cap, args.chart)
    sys.exit(report(tally, counts, spent, cap))


def report(tally: Tally, counts: dict, spent: int, cap: int) -> int:
    """Print the measurements; return 1 if an outcome is unexpected, a request is late or the cap is exceeded."""
    late = [
        arrival - tally.deadlines[name] for name, arrival in counts.pop("requests") if arrival > tally.deadlines[name]
    ]
    most = max(money for *_, money in tally.curve)
    print("| what | measured |\n|---|---|")
    print(f"| calls, seconds | {sum(tally.ends.values())}, {time.monotonic() - tally.begin:.0f} |")
    for end, count in tally.ends.most_common():
        print(f"| {end} | {count} |")
    print(f"| cap; spent or reserved at the end, at most; told in answers | {cap}; {spent}, {most}; {tally.cost} |")
    print(f"| billed by the stand-in | {counts['billed'] * 1000} |")
    print(f"| stand-in: answered, throttled, 500, reset | {', '.join(_kinds(counts))} |")
    print(f"| requests that came after their caller's deadline | {len(late)}, by {max(late, default=0):.3f} s |")
    expected = {"right", "BUDGET_EXHAUSTED", "deadline of 200 ms"}
    unexpected = [end for end in tally.ends if end not in expected and not end.endswith("within 200 ms")]
    return int(bool(unexpected or late or max(spent, most) > cap or counts["billed"] * 1000 > cap))


def _kinds(counts: dict) -> list[str]:
    return [str(counts.get(kind, 0)) for kind in ("answered", "throttled", "failed", "reset")]


if __name__ == "__main__":
    main()
