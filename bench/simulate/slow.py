"""A recognizer that only waits: `WORKERS` pictures at a time, each for as long as the model would draw."""

import asyncio
import os
import random

from bench.simulate import service_times
from bench.simulate.service_times import Distribution
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Image
from services.runtime.leaf.leaf import serve
from services.runtime.leaf.recognizer import Options
from services.runtime.settings import LeafSettings, load_settings

WORKERS = 12
_TIMES = 10
"""As long as the SVM: what other work on the machine adds is then little."""


def seconds() -> Distribution:
    """Return how long a picture takes."""
    svm = service_times.read().cpu["svm"]
    return Distribution([_TIMES * one for one in svm.quantiles], _TIMES * svm.mean)


class Slow:
    """Finds nothing, slowly."""

    name = "slow"
    features = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS)

    def __init__(self) -> None:
        self._seconds = seconds()
        self._source = random.Random(os.getpid())  # noqa: S311 - a simulation's draws
        self._workers = asyncio.Semaphore(WORKERS)

    async def load(self) -> None:
        """Be ready at once."""

    async def recognize(self, _image: Image, _options: Options) -> pb.RecognizerResult:
        """Wait for a worker, and for as long as it takes."""
        async with self._workers:
            await asyncio.sleep(self._seconds.draw(self._source))
        return pb.RecognizerResult()

    def describe(self) -> pb.Recognizer:
        """Return a model that has a name."""
        return pb.Recognizer(models=[pb.Model(name="slow", version="1")])

    async def close(self) -> None:
        """Release nothing."""


if __name__ == "__main__":
    serve(Slow(), load_settings(LeafSettings))
