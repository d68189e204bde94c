"""The served versions of the model, and which one is in use."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from services.keras.assets import Assets, read_assets
from services.keras.serving.batching import Batcher, Inputs, Scores
from services.keras.serving.client import ServedModel
from services.keras.serving.signature import Signature
from services.runtime.errors import DomainError, Misconfigured

logger = structlog.get_logger()
_METADATA_SECONDS = 5.0
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Version:
    """A served version: its input, the meaning of its scores, and the way to it."""

    signature: Signature
    assets: Assets
    batcher: Batcher

    async def scores(self, inputs: Inputs, seconds: float) -> Scores:
        """Return scores [N, classes], 0 to 1, of N pictures. Raises Misconfigured if the model's are not such."""
        if not len(inputs):
            return np.empty((0, len(self.assets.labels)), np.float32)
        scores = await self.batcher.predict(inputs, seconds)
        if not self.assets.fits(scores.shape[1]):
            raise _misfit(self.signature.version, scores.shape[1], self.assets)
        _check_range(scores)
        return scores.clip(0, 1)


class Versions:
    """The version in use, kept in step with the served model. Use it in one event loop."""

    def __init__(
        self,
        served: ServedModel,
        folder: Path,
        batcher: Callable[[Signature], Batcher],
        prepare: Callable[[Assets], None],
    ) -> None:
        """Serve with the assets in `folder`. `prepare` gets ready for a model; it blocks, and raises Misconfigured."""
        self._served = served
        self._folder = folder
        self._batcher = batcher
        self._prepare = prepare
        self._lock = asyncio.Lock()
        self._last_warning = ""
        self.current: Version | None = None
        """The version in use: the newest whose labels fit."""
        self.problem: DomainError | None = None
        """Why the last refresh failed."""

    async def refresh(self, stale: Version | None = None) -> Version:
        """Return the version to use now. Raises what prevents it, which `problem` then holds.

        If another caller has replaced `stale` since, return that one's version.
        """
        async with self._lock:
            if stale is not None and self.current is not None and self.current is not stale and not self.problem:
                return self.current
            try:
                self.current = await self._newest()
            except DomainError as exc:
                self.problem = exc
                raise
            self.problem = None
            return self.current

    async def _newest(self) -> Version:
        try:
            return await self._read(await self._served.signature(_METADATA_SECONDS))
        except Misconfigured as exc:
            if self.current is None:
                raise
            await self._keep(self.current, exc)
            return self.current

    async def _keep(self, current: Version, problem: Misconfigured) -> None:
        """Keep a version whose successor cannot be used, if it is still served."""
        try:
            await self._served.signature(_METADATA_SECONDS, current.signature.version)
        except DomainError:
            raise problem from None
        if problem.message != self._last_warning:
            logger.warning("keeping the old version", version=current.signature.version, error=problem.message)
        self._last_warning = problem.message

    async def _read(self, signature: Signature) -> Version:
        if self.current is not None and self.current.signature == signature:
            return self.current
        assets = await asyncio.to_thread(read_assets, self._folder, signature.version)
        if signature.classes is not None and not assets.fits(signature.classes):
            raise _misfit(signature.version, signature.classes, assets)
        assets.check_channels(signature.channels)
        await asyncio.to_thread(self._prepare, assets)
        logger.info("using a model", model=self._served.model, version=signature.version)
        return Version(signature, assets, self._batcher(signature))


def batcher_of(served: ServedModel, max_batch: int, max_calls: int, signature: Signature) -> Batcher:
    """Return the batcher of the signature's version."""
    predict = partial(_predict, served, signature)
    return Batcher(predict, max_batch if signature.takes_several else 1, max_calls)


async def _predict(served: ServedModel, signature: Signature, inputs: Inputs, seconds: float) -> Scores:
    return await served.predict(inputs, signature, seconds)


def _check_range(scores: Scores) -> None:
    if not np.isfinite(scores).all():
        raise Misconfigured("The Keras model's scores are not numbers; its weights are broken.")
    if scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING:
        raise Misconfigured(
            f"The Keras model's scores range from {scores.min():g} to {scores.max():g}; they must be 0 to 1. "
            "End the network with softmax or sigmoid, or convert it again with --activation."
        )


def _misfit(version: str, classes: int, assets: Assets) -> Misconfigured:
    return Misconfigured(
        f"Version {version} of the Keras model gives {classes} scores, but its marquee.json names "
        f"{len(assets.labels)} labels: {', '.join(assets.labels)}."
    )
