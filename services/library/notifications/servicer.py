# ruff: noqa: ARG002, N802 - names and parameters are the contract's
"""NotificationService: its parts, and its methods, which have their requests checked and pass them on."""

from collections.abc import Coroutine, Sequence
from typing import Any

import grpc

from marquee.library.v1 import notification_pb2 as pb
from marquee.library.v1 import notification_pb2_grpc
from services.library.database.change import Changes
from services.library.notifications import metrics
from services.library.notifications.budget import Budget
from services.library.notifications.channels.channels import Channels
from services.library.notifications.deliveries import Outbox
from services.library.notifications.feed import Feed
from services.library.notifications.messages import Messages
from services.library.notifications.queue import Deliveries
from services.library.notifications.rules import Rules
from services.library.notifications.sender import Sender
from services.library.servicer import Checked
from services.library.settings import LibrarySettings
from services.library.store.store import Store
from services.library.work.gateway import Gateway
from services.runtime.doors.watch import Watched
from services.runtime.server.calls import Context

NOTIFICATION_SERVICE = pb.DESCRIPTOR.services_by_name["NotificationService"].full_name


class Notifications:
    """Notifications. Raises ValueError and OSError for a file of channels that cannot be used."""

    def __init__(self, changes: Changes, store: Store, gateway: Gateway, settings: LibrarySettings) -> None:
        self._changes = changes
        self._database = changes.database
        self._collection = settings.library_collection
        self._channels = Channels(settings.library_channels, settings.library_webhooks_private)
        queue = Deliveries(self._database, settings.library_lease_seconds, settings.library_notification_attempts)
        self._sender = Sender(queue, self._channels, Messages(self._database, store))
        self._feed = Feed(self._database)
        self._budget = Budget(self._database, gateway.recognizers)
        self.prune = self._sender.prune
        """A step of the maintenance."""

    def register(self, server: grpc.aio.Server) -> str:
        """Add the service, and return its name."""
        rules = Rules(self._database, self._changes, self._channels)
        outbox = Outbox(self._database, self._changes, self._channels)
        servicer = NotificationServicer(rules, outbox, self._collection)
        notification_pb2_grpc.add_NotificationServiceServicer_to_server(servicer, server)
        return NOTIFICATION_SERVICE

    def tasks(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Return what is to run until it is cancelled."""
        return (self._feed.run(), self._sender.run(), self._budget.run(), metrics.watch(self._database))

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return self._channels.files()


class NotificationServicer(notification_pb2_grpc.NotificationServiceServicer, Checked):
    """NotificationService."""

    def __init__(self, rules: Rules, outbox: Outbox, collection: str) -> None:
        self._rules = rules
        self._outbox = outbox
        self._collection = collection

    async def SetNotificationRule(
        self, request: pb.SetNotificationRuleRequest, context: Context
    ) -> pb.SetNotificationRuleResponse:
        """Answer as the contract says."""
        return await self._rules.set(self._checked(request))

    async def ListNotificationRules(
        self, request: pb.ListNotificationRulesRequest, context: Context
    ) -> pb.ListNotificationRulesResponse:
        """Answer as the contract says."""
        return await self._rules.list(self._checked(request))

    async def DeleteNotificationRule(
        self, request: pb.DeleteNotificationRuleRequest, context: Context
    ) -> pb.DeleteNotificationRuleResponse:
        """Answer as the contract says."""
        return await self._rules.delete(self._checked(request))

    async def ListChannels(self, request: pb.ListChannelsRequest, context: Context) -> pb.ListChannelsResponse:
        """Answer as the contract says."""
        return await self._outbox.channels(self._checked(request))

    async def TestChannel(self, request: pb.TestChannelRequest, context: Context) -> pb.TestChannelResponse:
        """Answer as the contract says."""
        return await self._outbox.test(self._checked(request))

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Context) -> pb.ListDeliveriesResponse:
        """Answer as the contract says."""
        return await self._outbox.list(self._checked(request))

    async def RetryDeliveries(self, request: pb.RetryDeliveriesRequest, context: Context) -> pb.RetryDeliveriesResponse:
        """Answer as the contract says."""
        return await self._outbox.retry(self._checked(request))
