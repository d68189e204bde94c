"""What a recognizer tells of itself: its models, features and prices, asked for twice a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import grpc
import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DomainError
from services.runtime.requests import Feature

logger = structlog.get_logger()
_SECONDS = 0.5
_TIMEOUT = 2.0
_AWAY_SECONDS = 2.0
"""The longest between two questions to a recognizer that does not answer."""
_REFUSED_SECONDS = 30.0
"""To one that refuses this gateway, which its audit log has a line of each time."""
_REFUSALS = frozenset((grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED))
_MAX_ANSWERED = 64

Versions: TypeAlias = Mapping[str, frozenset[tuple[str, str]]]
"""Name and version of each model, by recognizer."""


@dataclass(frozen=True)
class Told:
    """What a recognizer has told last; nothing before it has answered."""

    recognizers: Sequence[pb.Recognizer] = ()
    """As this gateway names them; several if it is a gateway. Without what they have spent."""
    is_gateway: bool = False
    features: frozenset[Feature] = frozenset()
    prices: Mapping[Feature, int] = field(default_factory=dict)
    """Millionths of a US dollar for a picture, of all recognizers together."""

    @cached_property
    def is_paid(self) -> bool:
        """Whether any feature costs money."""
        return any(self.prices.values())

    @cached_property
    def may_give_embeddings(self) -> bool:
        """Whether any recognizer gives embeddings, or has not told yet."""
        ready = pb.RECOGNIZER_STATE_READY
        return not self.recognizers or any(one.gives_embeddings or one.state != ready for one in self.recognizers)

    def price_of(self, features: Collection[Feature], names: Collection[str] = ()) -> int:
        """Return what these features of a picture cost with the recognizers of these names, in millionths of a dollar.

        The name of a gateway means all behind it; without names, everybody is meant.
        """
        meant = [one for one in self.recognizers if not names or any(f"{one.name}/".startswith(f"{n}/") for n in names)]
        return sum(price.micro_usd for one in meant for price in one.prices if price.feature in features)


class Models:
    """The models of one recognizer, or of those behind a gateway.

    `list_recognizers` asks for them, within so many seconds; whatever it raises, what was told before holds on.
    """

    def __init__(self, list_recognizers: Callable[[float], Awaitable[pb.ListRecognizersResponse]]) -> None:
        self.told = Told()
        self._list = list_recognizers
        self._listed: Versions = {}
        self._versions: Versions = {}
        self._answered: dict[str, tuple[str, str]] = {}
        """Models that answers named and lists have not, or not in this version."""
        self._time = 0.0
        """When it was last listed, on time.monotonic()'s clock."""
        self._doubt_time = -1.0
        self.generation = 0
        """How often there was doubt."""
        self._wake = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Ask from now on, twice a second."""
        self._watching = asyncio.get_running_loop().create_task(self._watch(), context=Context())

    def close(self) -> None:
        """Ask no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def ask(self) -> None:
        """Ask for them now. Raises what `list_recognizers` does."""
        begin = time.monotonic()
        response = await self._list(_TIMEOUT)
        for one in response.recognizers:
            one.ClearField("spending")
        self.told = Told(
            tuple(response.recognizers),
            bool(response.gateway),
            frozenset(feature for one in response.recognizers for feature in one.features),
            _prices(response.recognizers),
        )
        self._take(response.recognizers)
        if self._doubt_time <= begin:
            self._doubt_time = -1.0

    @property
    def versions(self) -> Versions | None:
        """The models by what was told last, in a list or in an answer; None in `doubt`, until they are listed again."""
        return None if self._doubt_time >= 0 else self._versions

    def doubt(self) -> None:
        """Take what was told for outdated, and ask at once: somebody was enrolled or removed."""
        self._doubt_time = time.monotonic()
        self.generation += 1
        self._wake.set()

    def hear(self, results: Iterable[pb.RecognizerResult], begin: float) -> None:
        """Take the models from the answer to a call that began then, unless they were listed later."""
        if begin < self._time:
            return
        for one in results:
            name, model = one.recognizer, (one.model.name, one.model.version)
            if not one.model.name or model in self._versions.get(name, ()):
                continue
            if name in self._answered or len(self._answered) < _MAX_ANSWERED:
                self._answered[name] = model
                self._settle()

    def _settle(self) -> None:
        """Make the versions of lists and answers; those that are as before stay the same objects."""
        versions = dict(self._listed)
        for name, model in self._answered.items():
            others = (one for one in self._listed.get(name, ()) if one[0] != model[0])
            versions[name] = frozenset((*others, model))
        self._versions = {
            name: models if (before := self._versions.get(name)) is None or before != models else before
            for name, models in versions.items()
        }

    async def _watch(self) -> None:
        pause = _SECONDS
        while True:
            try:
                await self.ask()
                pause = _SECONDS
            except grpc.aio.AioRpcError as exc:  # calls that matter say so: this is asked too often to be logged
                pause = _REFUSED_SECONDS if exc.code() in _REFUSALS else min(2 * pause, _AWAY_SECONDS)
            except DomainError:
                pause = min(2 * pause, _AWAY_SECONDS)
            except Exception:
                logger.exception("unforeseen")
                pause = _REFUSED_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            self._wake.clear()

    def _take(self, recognizers: Sequence[pb.Recognizer]) -> None:
        """Note the listed models. One that is loading or away lists none: those that it told before hold on."""
        self._listed = {
            one.name: frozenset((model.name, model.version) for model in one.models)
            or self._listed.get(one.name, frozenset())
            for one in recognizers
        }
        named = {(name, model) for name, models in self._listed.items() for model, _ in models}
        self._answered = {name: model for name, model in self._answered.items() if (name, model[0]) not in named}
        self._settle()
        self._time = time.monotonic()


def _prices(recognizers: Sequence[pb.Recognizer]) -> dict[Feature, int]:
    prices: dict[Feature, int] = {}
    for one in recognizers:
        for price in one.prices:
            prices[price.feature] = prices.get(price.feature, 0) + price.micro_usd
    return prices
