"""Client of the library's notifications, for asyncio."""

from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from marquee.channels.calls import AsyncCalls
from marquee.channels.connection import DEFAULT_TIMEOUT, Connection, ConnectionOptions
from marquee.channels.role import LIBRARY
from marquee.library.client import MAX_PAGE_SIZE, PAGE_SIZE
from marquee.library.notifications.client import TEST_TIMEOUT
from marquee.library.notifications.enums import DeliveryState, NotificationTrigger
from marquee.library.notifications.requests import RuleOptions, build_deliveries, build_rule
from marquee.library.notifications.results import Channel, ChannelTest, Delivery, DeliveryCounts, NotificationRule
from marquee.library.requests import PictureOptions, build_change
from marquee.library.v1 import notification_pb2 as pb
from marquee.library.v1.notification_pb2_grpc import NotificationServiceStub
from marquee.records import read
from marquee.requests import names_of

if TYPE_CHECKING:  # exists in the .pyi alone
    from marquee.library.v1.notification_pb2_grpc import NotificationServiceAsyncStub


class AsyncNotificationClient(AsyncCalls):
    """Client for asyncio; see NotificationClient, whose methods it has."""

    def __init__(self, address: str | None = None, **options: Unpack[ConnectionOptions]) -> None:
        super().__init__(Connection(address, role=LIBRARY, **options))

    async def set_rule(
        self,
        name: str,
        trigger: NotificationTrigger | str,
        channels: Sequence[str],
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[RuleOptions],
    ) -> NotificationRule:
        """Create a rule, or replace the one with this name. It is about what happens from then on."""
        request = build_rule(name, trigger, channels, options)
        return read(
            NotificationRule, (await self._call(self._notifications.SetNotificationRule, request, timeout)).rule
        )

    def rules(
        self, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = ""
    ) -> AsyncIterator[NotificationRule]:
        """Yield the rules by name; `timeout` is per 1000 of them."""
        request = pb.ListNotificationRulesRequest(page_size=MAX_PAGE_SIZE, collection=collection)
        return self._pages(self._notifications.ListNotificationRules, request, timeout, NotificationRule, "rules")

    async def delete_rule(
        self, rule_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PictureOptions]
    ) -> None:
        """Delete a rule, with what it was still to tell. Raises RuleNotFound."""
        request = build_change(pb.DeleteNotificationRuleRequest, options, rule_id=rule_id)
        await self._call(self._notifications.DeleteNotificationRule, request, timeout)

    async def channels(self, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = "") -> tuple[Channel, ...]:
        """Return the channels that rules of the collection may use."""
        request = pb.ListChannelsRequest(collection=collection)
        response = await self._call(self._notifications.ListChannels, request, timeout)
        return tuple(read(Channel, message) for message in response.channels)

    async def test(self, channel: str, *, timeout: float | None = TEST_TIMEOUT, collection: str = "") -> ChannelTest:
        """Send one real message by a channel, and return what became of it."""
        request = pb.TestChannelRequest(channel=channel, collection=collection)
        return read(ChannelTest, await self._call(self._notifications.TestChannel, request, timeout))

    def deliveries(
        self,
        state: DeliveryState | str = DeliveryState.UNSPECIFIED,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> AsyncIterator[Delivery]:
        """Yield the deliveries, newest first; `timeout` is per page."""
        request = build_deliveries(state, page_size, collection)
        return self._pages(self._notifications.ListDeliveries, request, timeout, Delivery, "deliveries")

    async def delivery_counts(self, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = "") -> DeliveryCounts:
        """Return how many deliveries wait, and how many were given up."""
        request = build_deliveries(DeliveryState.UNSPECIFIED, 1, collection)
        return read(DeliveryCounts, await self._call(self._notifications.ListDeliveries, request, timeout))

    async def retry(
        self,
        delivery_ids: Sequence[str] = (),
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> int:
        """Try deliveries again that were given up, by default all; return how many are."""
        request = build_change(pb.RetryDeliveriesRequest, options, delivery_ids=names_of(delivery_ids))
        return (await self._call(self._notifications.RetryDeliveries, request, timeout)).delivery_count

    @cached_property
    def _notifications(self) -> "NotificationServiceAsyncStub":
        return NotificationServiceStub(self._channel)
