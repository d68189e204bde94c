"""The status page: how the recognizers are, what they do, and what they cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.doors.scopes import Scope
from services.runtime.errors import DependencyUnavailable, InvalidAnswer, OutOfTime
from services.runtime.status import StatusError
from services.web.access import visit
from services.web.gateway import LIST, Gateway
from services.web.pages import words
from services.web.pages.errors import message
from services.web.pages.render import Renderer

_SECONDS = 4.0
"""How long the page waits for the gateway, which itself gives recognizers 2 s."""
_AWAY = (DependencyUnavailable, InvalidAnswer, OutOfTime, StatusError)
_STATES = {
    pb.RECOGNIZER_STATE_READY: ("ready", "Ready", "good"),
    pb.RECOGNIZER_STATE_LOADING: ("loading", "Loading its model", "warning"),
    pb.RECOGNIZER_STATE_UNAVAILABLE: ("away", "Away", "bad"),
}


class StatusPage:
    """The page, and the part of it that is asked for again and again."""

    def __init__(self, gateway: Gateway, renderer: Renderer) -> None:
        self._gateway = gateway
        self._renderer = renderer
        self._last: dict[bool, Listing] = {}

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return (Route("/status", self.show), Route("/status/recognizers", self.refresh))

    async def show(self, request: Request) -> Response:
        """Answer GET /status."""
        del request
        return self._renderer.page("status.html", **await self._facts())

    async def refresh(self, request: Request) -> Response:
        """Answer GET /status/recognizers with the part that changes."""
        del request
        return self._renderer.page("status_recognizers.html", **await self._facts())

    async def _facts(self) -> dict[str, Any]:
        """Return what the templates show: what the gateway says, or said last to others who see as much.

        Raises ScopeMissing.
        """
        is_admin = visit.current().may(Scope.ADMIN)
        failure = ""
        try:
            response = await self._gateway.call(LIST, pb.ListRecognizersRequest(), _SECONDS)
            self._last[is_admin] = Listing(response, datetime.now(UTC))
        except _AWAY as exc:
            failure = message(exc)
        return {"failure": failure, "listing": self._last.get(is_admin), "is_admin": is_admin}


@dataclass(frozen=True)
class Listing:
    """What the gateway said of its recognizers, and when."""

    response: pb.ListRecognizersResponse
    time: datetime

    @property
    def recognizers(self) -> list["View"]:
        """The recognizers, in the gateway's order."""
        return [View(one, self.response.recognizers) for one in self.response.recognizers]

    @property
    def summary(self) -> str:
        """One sentence on all of them."""
        names = {name: [one.name for one in self.recognizers if one.state == name] for name in ("away", "loading")}
        total = len(self.recognizers)
        if not total:
            return "The gateway has no recognizers."
        ready = sum(one.state == "ready" for one in self.recognizers)
        parts = [f"{words.listed(of)} {'is' if len(of) == 1 else 'are'} {name}" for name, of in names.items() if of]
        all_of_them = "The recognizer is ready." if total == 1 else f"All {total} recognizers are ready."
        return all_of_them if ready == total else f"{ready} of {total} ready; {', '.join(parts)}."

    @property
    def spending(self) -> "Money | None":
        """What all of them have spent; None: nobody says."""
        known = [one.spending for one in self.response.recognizers if one.HasField("spending")]
        if not known:
            return None
        return Money(sum(one.today_micro_usd for one in known), sum(one.month_micro_usd for one in known))

    @property
    def is_withheld(self) -> bool:
        """Whether there is money that is not shown."""
        return self.response.spending_withheld


class Money(NamedTuple):
    """Money spent, in millionths of a US dollar."""

    today: int
    month: int
    cap: int | None = None
    """Of a day; None: no cap."""
    replicas: int = 0
    """Replicas that each have that cap and count for themselves; 0: they count together."""

    @property
    def percent(self) -> int:
        """Share of the cap that is spent today, rounded down: 100 only if nothing is left."""
        if self.cap is None:
            return 0
        return 100 * self.today // self.cap if self.cap > 0 else 100

    @property
    def is_spent(self) -> bool:
        """Whether the cap is reached."""
        return self.cap is not None and self.today >= self.cap


class PriceList(NamedTuple):
    """Prices of a region, looked up at the same time."""

    region: str
    since: str
    prices: list[tuple[str, str]]
    """Feature and dollars a picture, as people read them."""


class View:
    """A recognizer, as the page shows it."""

    def __init__(self, one: pb.Recognizer, everybody: Iterable[pb.Recognizer]) -> None:
        self.name = one.name
        self.state, self.state_words, self.tone = _STATES.get(one.state, ("unknown", "Unknown", "warning"))
        self.is_known = one.state != pb.RECOGNIZER_STATE_UNAVAILABLE
        self.why = one.status.message if one.HasField("status") else ""
        self.features = [_feature(kind) for kind in one.features]
        self.models = [f"{model.name} {model.version}".strip() for model in one.models]
        self.can_enroll = one.can_enroll
        self.group = one.evidence_group
        self.kin = [
            other.name for other in everybody if other.evidence_group == self.group != "" and other.name != one.name
        ]
        self.smallest_face = f"{100 * one.smallest_face:.3g} %" if one.HasField("smallest_face") else ""
        self.price_lists = _price_lists(one.prices)
        self.spending = _money(one.spending) if one.HasField("spending") else None

    @property
    def kin_words(self) -> str:
        """Names of those whose agreement counts once with this one's."""
        return words.listed(self.kin)


def _feature(kind: "pb.Feature.ValueType") -> str:
    """Return what people call a feature, also one that this page is too old to know."""
    return words.FEATURES.get(kind, f"Feature {kind}")


def _price_lists(prices: Iterable[pb.Price]) -> list[PriceList]:
    lists: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for price in prices:
        since = f"{price.effective_time.ToDatetime():%Y-%m-%d}" if price.HasField("effective_time") else ""
        lists.setdefault((price.region, since), []).append((_feature(price.feature), words.dollars(price.micro_usd)))
    return [PriceList(region, since, rows) for (region, since), rows in lists.items()]


def _money(spending: pb.Spending) -> Money:
    cap = spending.daily_cap_micro_usd if spending.HasField("daily_cap_micro_usd") else None
    return Money(spending.today_micro_usd, spending.month_micro_usd, cap, spending.replicas)
