"""Enums of the contract about notifications as strings. UNSPECIFIED stands for a value unknown to this version."""

from enum import StrEnum


class NotificationTrigger(StrEnum):
    """What a rule tells of."""

    UNSPECIFIED = "UNSPECIFIED"
    PICTURE = "PICTURE"
    """A picture was processed, whatever came of it."""
    LABEL = "LABEL"
    PERSON = "PERSON"
    """Somebody was identified; without a subject, anybody."""
    UNKNOWN = "UNKNOWN"
    """A face that nobody knows."""
    NOBODY = "NOBODY"
    """No face at all."""
    DISAGREEMENT = "DISAGREEMENT"
    """Recognizers name different people for one face."""
    CATEGORY = "CATEGORY"
    BUDGET = "BUDGET"
    """A recognizer has spent a share of its daily cap."""


class DeliveryState(StrEnum):
    """State of a delivery."""

    UNSPECIFIED = "UNSPECIFIED"
    """In a filter: any."""
    QUEUED = "QUEUED"
    """Waiting for its time, or for its next attempt."""
    SENDING = "SENDING"
    SENT = "SENT"
    """The other side has taken it."""
    DEAD = "DEAD"
    """Given up: its status says why. `retry` tries it again."""
