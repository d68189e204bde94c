"""What ListRecognizers answers."""

from dataclasses import dataclass
from datetime import datetime

from marquee.enums import Feature, RecognizerState
from marquee.records import Record, Status
from marquee.results import Model


@dataclass(frozen=True, slots=True)
class Price(Record):
    """What a feature costs."""

    feature: Feature
    micro_usd: int
    """Millionths of a US dollar a picture."""
    region: str
    effective_time: datetime | None
    """When the price was looked up."""


@dataclass(frozen=True, slots=True)
class Spending(Record):
    """Money spent, in millionths of a US dollar."""

    today_micro_usd: int
    """Since midnight UTC."""
    month_micro_usd: int
    """Since the first of the month, UTC."""
    daily_cap_micro_usd: int | None
    """Most that may be spent a day; None: no cap."""


@dataclass(frozen=True, slots=True)
class Recognizer(Record):
    """A recognizer, what it can do and what it costs."""

    name: str
    """ "gateway/name" for one behind another gateway."""
    state: RecognizerState
    status: Status | None
    """Why it is UNAVAILABLE."""
    features: tuple[Feature, ...]
    models: tuple[Model, ...]
    prices: tuple[Price, ...]
    """Empty: costs nothing."""
    can_enroll: bool
    evidence_group: str
    spending: Spending | None
    """Where it costs money."""
