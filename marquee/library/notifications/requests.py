"""Requests of the contract about notifications, built from the arguments of the client's methods."""

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from marquee.library.notifications.enums import DeliveryState, NotificationTrigger
from marquee.library.requests import PictureOptions, build_change
from marquee.library.v1 import notification_pb2 as pb
from marquee.requests import member_of, names_of


class RuleOptions(PictureOptions, total=False):
    """Options of a rule."""

    rule_id: str
    """Of the rule to change. Empty: the one with the name, which is made if there is none."""
    subject: str
    """Which label, person (person_id or name), category or recognizer."""
    min_score: float
    """Least score of the label or the person, 0 to 1."""
    budget_share: float
    """Share of the daily cap that has to be spent; by default 0.8."""
    quiet_window: int
    """Seconds within which the same subject is told once. Default 0: each picture is told."""
    digest_window: int
    """Seconds that are told in one message, at their end. Default 0: told at once."""
    disabled: bool
    """Whether the rule rests."""


def build_rule(
    name: str, trigger: NotificationTrigger | str, channels: Sequence[str], options: RuleOptions
) -> pb.SetNotificationRuleRequest:
    """Build the request to set a rule. Raises InvalidRequest."""
    rule = pb.NotificationRule(
        rule_id=options.get("rule_id", ""),
        name=name,
        trigger=pb.NotificationTrigger.Value(f"NOTIFICATION_TRIGGER_{member_of(NotificationTrigger, trigger)}"),
        subject=options.get("subject", ""),
        min_score=options.get("min_score", 0.0),
        budget_share=options.get("budget_share", 0.0),
        channels=names_of(channels),
        quiet_window=Duration(seconds=options.get("quiet_window", 0)),
        digest_window=Duration(seconds=options.get("digest_window", 0)),
        disabled=options.get("disabled", False),
    )
    shared = PictureOptions(collection=options.get("collection", ""), request_id=options.get("request_id", ""))
    return build_change(pb.SetNotificationRuleRequest, shared, rule=rule)


def build_deliveries(state: DeliveryState | str, page_size: int, collection: str) -> pb.ListDeliveriesRequest:
    """Build the request for the first page of deliveries. Raises InvalidRequest."""
    name = DeliveryState.UNSPECIFIED if state == DeliveryState.UNSPECIFIED else member_of(DeliveryState, state)
    number = pb.DeliveryState.Value(f"DELIVERY_STATE_{name}")
    return pb.ListDeliveriesRequest(collection=collection, state=number, page_size=page_size)
