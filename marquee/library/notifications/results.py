"""Messages of the contract about notifications as frozen dataclasses."""

from dataclasses import dataclass
from datetime import datetime

from marquee.library.notifications.enums import DeliveryState, NotificationTrigger
from marquee.records import Record, Status


@dataclass(frozen=True, slots=True)
class NotificationRule(Record):
    """What to tell of, and by which channels."""

    rule_id: str
    collection: str
    name: str
    trigger: NotificationTrigger
    subject: str
    """Which label, person, category or recognizer."""
    min_score: float
    budget_share: float
    channels: tuple[str, ...]
    quiet_window: float | None
    """Seconds within which the same subject is one occurrence, told once."""
    digest_window: float | None
    """Seconds that are told in one message, at their end."""
    disabled: bool
    create_time: datetime | None
    caller: str
    """Who changed it last."""


@dataclass(frozen=True, slots=True)
class Channel(Record):
    """A way to reach somebody, which the operator has set."""

    name: str
    type: str
    """ "webhook", "smtp", "slack" or "apprise"."""


@dataclass(frozen=True, slots=True)
class NotificationOccurrence(Record):
    """What happened, once."""

    occurrence_id: str
    rule_id: str
    rule_name: str
    trigger: NotificationTrigger
    picture_count: int
    """So far."""
    picture_ids: tuple[str, ...]
    """The last ten that the library has, newest first."""
    first_time: datetime | None
    last_time: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery(Record):
    """A message to one channel."""

    delivery_id: str
    """A webhook's webhook-id."""
    occurrence: NotificationOccurrence
    channel: str
    state: DeliveryState
    attempts: int
    status: Status
    """What the last attempt failed with; OK: it did not."""
    create_time: datetime | None
    next_attempt_time: datetime | None
    """None: none is due."""
    end_time: datetime | None
    """None: it is neither sent nor given up."""


@dataclass(frozen=True, slots=True)
class DeliveryCounts(Record):
    """How many deliveries of a collection there are to care for."""

    pending_count: int
    """Queued or being sent."""
    dead_count: int
    """Given up."""


@dataclass(frozen=True, slots=True)
class ChannelTest(Record):
    """What became of a message that tests a channel."""

    status: Status
    """OK: the other side has taken it."""
    delivery_id: str
    duration: float | None
    """Seconds."""
