"""How soon a gateway that keeps answers sees whom another one has enrolled or removed.

usage: PYTHONPATH=. python -m bench.gateway.people [ROUNDS]

Two gateways with a replica of the SVM each, which share a gallery on disk and look at it once a second, in one process.
Takes two seconds a round.
"""

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.support.offices import Office, hopper, office
from tests.support.svm_enrollment import HOPPER, write_model

_UNEVEN = 0.37
"""Seconds by which each round waits longer, so that no poll keeps step with it."""


async def main(rounds: int) -> None:
    """Measure, and print a line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder))
        async with office(Path(folder)) as here, office(Path(folder)) as there:
            for number in range(rounds):
                await asyncio.sleep(_UNEVEN * number % 1)
                await here.enroll(hopper())
                seconds.append(await _seen(there, [HOPPER]))
                await there.remove()
                seconds.append(await _seen(here, [""]))
    print(
        f"{len(seconds)} changes; seen elsewhere after {statistics.median(seconds):.2f} s, {max(seconds):.2f} s at most"
    )


async def _seen(office: Office, names: list[str]) -> float:
    begin = time.monotonic()
    await office.sees(hopper(), names)
    return time.monotonic() - begin


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
