"""The library as a server: its parts, begun and ended together."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import grpc

from marquee.library.v1 import library_pb2, library_pb2_grpc, people_pb2, people_pb2_grpc
from services.library.categories import rules
from services.library.categories.categories import Categories
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.database.migration import is_current
from services.library.enrollment.adoption import Adoption
from services.library.enrollment.enrolling import Enrolling
from services.library.enrollment.portraits import Portraits
from services.library.enrollment.reconciliation import Reconciliation
from services.library.enrollment.upkeep import Upkeep
from services.library.erasure.erasure import Erasure
from services.library.erasure.maintenance import Maintenance
from services.library.erasure.person.audits import Audits
from services.library.erasure.person.erasure import PersonErasure
from services.library.erasure.person.export import PersonExport
from services.library.erasure.replay import Replay
from services.library.erasure.sweep import Sweep
from services.library.erasure.tombstones import Tombstones
from services.library.erasure.trash import Trash
from services.library.exchange.decisions import DecisionExport
from services.library.exchange.export import Export
from services.library.exchange.imports import Imports
from services.library.faces.comparison import Comparison
from services.library.faces.crops import Crops
from services.library.faces.drawing import Drawing
from services.library.faces.embedder import Embedder
from services.library.faces.embedding import Embedding
from services.library.faces.listing import Listing
from services.library.faces.models import Indexes
from services.library.faces.similar import Similar
from services.library.grouping.explanation import Explanation
from services.library.grouping.grouping import Grouping
from services.library.grouping.measuring import Measuring
from services.library.grouping.splitting import Splitting
from services.library.grouping.suggestions import Suggestions
from services.library.notifications.servicer import Notifications
from services.library.people.actions import Actions
from services.library.people.decisions import Decisions
from services.library.people.merging import Merging
from services.library.people.people import People, follow_some
from services.library.people.servicer import PeopleParts, PeopleServicer
from services.library.pictures.addition import Addition
from services.library.pictures.content import Content
from services.library.pictures.events import Events
from services.library.pictures.intake import Intake
from services.library.pictures.pictures import Pictures
from services.library.search.search import Search
from services.library.servicer import LibraryServicer, Parts
from services.library.settings import LibrarySettings
from services.library.store.store import Store
from services.library.work import metrics
from services.library.work.attempt import Attempt
from services.library.work.gateway import Gateway
from services.library.work.jobs import Jobs
from services.library.work.queue import Queue
from services.library.work.signals import Signals
from services.library.work.worker import Worker, end
from services.runtime.doors.watch import Watched
from services.runtime.errors import DependencyUnavailable
from services.runtime.server.server import Service

LIBRARY_SERVICE = library_pb2.DESCRIPTOR.services_by_name["LibraryService"].full_name
PEOPLE_SERVICE = people_pb2.DESCRIPTOR.services_by_name["PeopleService"].full_name
_RETRY_SECONDS = 1.0


class Library(Service):
    """LibraryService with its workers. Raises Misconfigured for settings that cannot be used."""

    name = "library"

    def __init__(self, settings: LibrarySettings) -> None:
        self._settings = settings
        self._database = Database(settings.database_url, settings.library_database_connections)
        self._url_files = _watched_url(settings, self._database.move)
        log = settings.library_erasure_log
        self._log = Store(log, settings.s3_endpoint_url) if log else None
        self._tombstones = Tombstones(settings.library_tombstone_key_file, self._log)
        self._store = Store(settings.library_store, settings.s3_endpoint_url)
        self._content = Content(self._database, self._store, settings)
        self._signals = Signals(self._database)
        self._grouping = Grouping(Changes(self._database), self._signals)
        self._gateway = Gateway(settings)
        self._embedding = Embedding(Changes(self._database), self._content, self._gateway)
        self._notifications = Notifications(Changes(self._database), self._store, self._gateway, settings)
        self._upkeep = Upkeep(self._database, self._gateway, Portraits(self._database, self._content))
        changes = Changes(self._database)
        self._erasure = Erasure(changes, self._store, self._tombstones, settings)
        self._person_erasure = PersonErasure(changes, self._erasure, self._tombstones, self._gateway, settings)
        self._audits = Audits(self._database, settings.library_audit_days)
        self._tasks: list[asyncio.Task[None]] = []

    def register(self, server: grpc.aio.Server) -> Sequence[str]:
        """Add the service."""
        collection = self._settings.library_collection
        library_pb2_grpc.add_LibraryServiceServicer_to_server(LibraryServicer(self._parts(), collection), server)
        people = PeopleServicer(self._people_parts(), collection)
        people_pb2_grpc.add_PeopleServiceServicer_to_server(people, server)
        return (LIBRARY_SERVICE, PEOPLE_SERVICE, self._notifications.register(server))

    async def load(self) -> None:
        """Wait for the database and its migrations, then begin to work."""
        while not await self._is_migrated():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(_RETRY_SECONDS)
        if self._log is not None:
            await Replay(self._database, self._log, self._tombstones, self._erasure, self._person_erasure).run()
        indexes = Indexes(self._database, self._settings.library_index_mib)
        parts = (self._signals, self._maintenance, indexes, self._grouping, self._upkeep, self._embedding)
        own = (metrics.watch(self._database), *(one.run() for one in parts))
        self._tasks = [asyncio.create_task(one) for one in (*own, *self._notifications.tasks())]
        self._worker.start()

    def files(self) -> Iterable[Watched[Any]]:
        """Return what connections are made of, the keys of tombstones and the channels of notifications."""
        own = (*self._gateway.files(), *self._url_files, *self._tombstones.files())
        return (*own, *self._notifications.files())

    async def close(self) -> None:
        """Finish what is being worked on, and close the connections."""
        await self._worker.close()
        await end(self._tasks)
        await self._gateway.close()
        self._store.close()
        if self._log is not None:
            self._log.close()
        await self._database.close()

    def _parts(self) -> Parts:
        database, settings = self._database, self._settings
        changes, store = Changes(database), self._store
        queue = Queue(database, settings.library_lease_seconds)
        intake = Intake(changes, store, self._tombstones, settings)
        content = self._content
        attempt = Attempt(queue, changes, intake, content, self._gateway, settings)
        self._worker = Worker(queue, self._signals, settings.library_workers, attempt.make)
        addition = Addition(database, changes, store, self._tombstones, settings.s3_allowed)
        erasure = self._erasure
        steps = (
            partial(rules.apply_some, database),
            partial(follow_some, changes),
            Sweep(database, store).step,
            Measuring(changes).step,
            self._notifications.prune,
            self._person_erasure.step,
            self._audits.prune,
        )
        self._maintenance = Maintenance(database, erasure, settings, steps)
        return Parts(
            pictures=Pictures(database, addition, content, self._signals),
            search=Search(database),
            export=Export(database),
            imports=Imports(changes, settings, self._tombstones),
            jobs=Jobs(database, changes, self._signals),
            trash=Trash(changes, settings),
            erasure=erasure,
            categories=Categories(database, changes),
            events=Events(database),
        )

    def _people_parts(self) -> PeopleParts:
        database, changes = self._database, Changes(self._database)
        merging = Merging(changes)
        return PeopleParts(
            people=People(changes),
            decisions=Decisions(changes),
            merging=merging,
            splitting=Splitting(database),
            listing=Listing(database),
            suggestions=Suggestions(changes, merging),
            actions=Actions(changes),
            comparison=Comparison(database),
            crops=Crops(database, self._content),
            explanation=Explanation(database),
            erasure=self._person_erasure,
            export=PersonExport(database, self._content),
            audits=self._audits,
            decision_export=DecisionExport(database, self._content),
            drawing=Drawing(changes, self._content, Embedder(self._gateway)),
            embedding=self._embedding,
            similar=Similar(database, Embedder(self._gateway), self._settings.s3_allowed),
            enrolling=Enrolling(database, self._gateway, self._upkeep),
            reconciliation=Reconciliation(database, self._gateway, self._upkeep),
            adoption=Adoption(changes, self._gateway),
        )

    async def _is_migrated(self) -> bool:
        try:
            return await is_current(self._settings.database_url)
        except DependencyUnavailable:
            return False


def _watched_url(settings: LibrarySettings, move: Callable[[str], None]) -> Sequence[Watched[str]]:
    path = settings.library_database_url_file
    return () if path is None else (Watched("database URL", [path], lambda: settings.database_url, move),)
