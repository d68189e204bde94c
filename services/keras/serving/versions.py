"""Which version of the model is asked, and how."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from services.keras.assets import Assets, read_assets
from services.keras.regions import prepare
from services.keras.serving.batching import Batcher, Inputs, Scores
from services.keras.serving.client import ServedModel
from services.keras.serving.signature import Signature
from services.runtime.errors import DomainError, Misconfigured

logger = structlog.get_logger()
_ASKING_SECONDS = 5.0
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Version:
    """A served version: what it takes, what its scores mean, and the way to ask it."""

    signature: Signature
    assets: Assets
    batcher: Batcher

    async def scores(self, inputs: Inputs, seconds: float) -> Scores:
        """By picture and label, [N, labels], 0 to 1. Raises Misconfigured where they are no numbers, or no such."""
        given = await self.batcher.predict(inputs, seconds)
        if not self.assets.fits(given.shape[1]):
            raise _misfit(self.signature.version, given.shape[1], self.assets)
        _check_range(given)
        return np.stack([self.assets.by_label(one) for one in given.clip(0, 1)])


class Versions:
    """Follows the served model. Use it in one event loop."""

    def __init__(self, served: ServedModel, folder: Path, batcher: Callable[[Signature], Batcher]) -> None:
        self._served = served
        self._folder = folder
        self._batcher = batcher
        self._looking = asyncio.Lock()
        self._told = ""
        self.current: Version | None = None
        """The one to ask: the newest whose labels fit."""
        self.problem: DomainError | None = None
        """Why it could not be asked when it was last looked at."""

    async def look(self, known: Version | None = None) -> Version:
        """The version to ask now. Raises what hinders, and remembers it.

        With `known`, somebody else's look since then will do.
        """
        async with self._looking:
            if known is not None and self.current is not None and self.current is not known and not self.problem:
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
            return await self._read(await self._served.signature(_ASKING_SECONDS))
        except Misconfigured as exc:
            if self.current is None:
                raise
            await self._stay(self.current, exc)
            return self.current

    async def _stay(self, current: Version, problem: Misconfigured) -> None:
        """Keeps a version whose successor cannot be used, if it is still served."""
        try:
            await self._served.signature(_ASKING_SECONDS, current.signature.version)
        except DomainError:
            raise problem from None
        if problem.message != self._told:
            logger.warning("staying with a version", version=current.signature.version, error=problem.message)
        self._told = problem.message

    async def _read(self, signature: Signature) -> Version:
        if self.current is not None and self.current.signature == signature:
            return self.current
        assets = await asyncio.to_thread(read_assets, self._folder, signature.version)
        if signature.classes is not None and not assets.fits(signature.classes):
            raise _misfit(signature.version, signature.classes, assets)
        await asyncio.to_thread(prepare, assets)
        logger.info("using a model", model=self._served.model, version=signature.version)
        return Version(signature, assets, self._batcher(signature))


def batcher_of(served: ServedModel, most: int, at_once: int, signature: Signature) -> Batcher:
    """The way to ask the signature's version."""
    ask = partial(_ask, served, signature)
    return Batcher(ask, most if signature.takes_several else 1, at_once)


async def _ask(served: ServedModel, signature: Signature, inputs: Inputs, seconds: float) -> Scores:
    return await served.predict(inputs, signature, seconds)


def _check_range(scores: Scores) -> None:
    if not np.isfinite(scores).all():
        raise Misconfigured("The Keras model gives scores that are no numbers; its weights are broken.")
    if scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING:
        raise Misconfigured(
            f"The Keras model gives scores from {scores.min():g} to {scores.max():g}, which are none: 0 to 1. "
            "Let the network end with softmax or sigmoid."
        )


def _misfit(version: str, classes: int, assets: Assets) -> Misconfigured:
    return Misconfigured(
        f"Version {version} of the Keras model gives {classes} scores, but its marquee.json names "
        f"{len(assets.labels)} labels: {', '.join(assets.labels)}."
    )
