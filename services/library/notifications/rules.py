"""Rules: made, listed and deleted."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid6 import uuid7

from marquee.library.v1 import notification_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.database import Database
from services.library.database.notification_tables import notification_occurrence, notification_rule
from services.library.notifications.channels.channels import Channels
from services.library.pictures.view import timestamp
from services.library.search.folding import fold
from services.runtime import requests
from services.runtime.errors import InvalidRequest, RuleNotFound

_LOCK = 0x6E6F7472
_MOST_RULES = 1000
"""Of a collection: each new picture is held against all."""
_MOST_SECONDS = int(timedelta(days=30).total_seconds())
_DEFAULT_SHARE = 0.8
_WITH_SUBJECT = (pb.NOTIFICATION_TRIGGER_LABEL, pb.NOTIFICATION_TRIGGER_CATEGORY)
"""What needs one. Of people and recognizers, none means any; all others have none."""
_MAY_HAVE_SUBJECT = (*_WITH_SUBJECT, pb.NOTIFICATION_TRIGGER_PERSON, pb.NOTIFICATION_TRIGGER_BUDGET)
_WITH_SCORE = (pb.NOTIFICATION_TRIGGER_LABEL, pb.NOTIFICATION_TRIGGER_PERSON)
_columns = notification_rule.c


class Rules:
    """SetNotificationRule, ListNotificationRules and DeleteNotificationRule."""

    def __init__(self, database: Database, changes: Changes, channels: Channels) -> None:
        self._database = database
        self._changes = changes
        self._channels = channels

    async def set(self, request: pb.SetNotificationRuleRequest) -> pb.SetNotificationRuleResponse:
        """Create or change a rule. Raises RuleNotFound and InvalidRequest."""
        values = _values(request.rule)
        for name in request.rule.channels:
            self._channels.get(name, request.collection, "rule.channels")

        async def make(change: Change) -> pb.SetNotificationRuleResponse:
            rule_id = await _saved(change, request.rule, values | {"caller": change.caller})
            (shown,) = await _shown(change.connection, request.collection, _columns.rule_id == rule_id)
            return pb.SetNotificationRuleResponse(rule=shown)

        return await self._changes.once(request, pb.SetNotificationRuleResponse, make)

    async def list(self, request: pb.ListNotificationRulesRequest) -> pb.ListNotificationRulesResponse:
        """Return a page of rules. Raises InvalidRequest."""
        size = requests.page_size_of(request)
        collection_id = await self._database.collection_id(request.collection, make=False)
        where = (_columns.collection_id == collection_id) & (_columns.folded_name > request.page_token)
        async with self._database.begin() as connection:
            found = await _shown(connection, request.collection, where, size + 1)
        token = fold(found[size - 1].name) if len(found) > size else ""
        return pb.ListNotificationRulesResponse(rules=found[:size], next_page_token=token)

    async def delete(self, request: pb.DeleteNotificationRuleRequest) -> pb.DeleteNotificationRuleResponse:
        """Delete a rule, with its deliveries. Raises RuleNotFound."""

        async def make(change: Change) -> pb.DeleteNotificationRuleResponse:
            gone = delete(notification_rule).where(*_key(change, request.rule_id)).returning(_columns.rule_id)
            if (await change.connection.execute(gone)).first() is None:
                raise _not_found(request.rule_id)
            return pb.DeleteNotificationRuleResponse()

        return await self._changes.once(request, pb.DeleteNotificationRuleResponse, make)


async def forget(connection: AsyncConnection, collection_id: int, person_id: str, names: Sequence[str] = ()) -> int:
    """Delete the rules that name somebody, and what others have found of them; return how many rows went.

    For whoever erases a person: what is not sent yet is never sent then.
    """
    folded = [fold(name) for name in names]
    own = _columns.collection_id == collection_id
    subjects = [one for one in (person_id, *folded) if one]
    rules = select(_columns.rule_id).where(own, _columns.trigger == pb.NOTIFICATION_TRIGGER_PERSON)
    named = _columns.subject.in_([person_id, *names]) | _columns.folded_subject.in_(folded)
    found = notification_occurrence.c
    seen = delete(notification_occurrence).where(found.rule_id.in_(rules), found.subject.in_(subjects))
    count = (await connection.execute(seen)).rowcount
    these = delete(notification_rule).where(_columns.rule_id.in_(rules.where(named)))
    return count + (await connection.execute(these)).rowcount


def _values(rule: pb.NotificationRule) -> dict[str, Any]:
    """Return the rule's columns. Raises InvalidRequest."""
    _check(rule)
    share = rule.budget_share or _DEFAULT_SHARE
    quiet, digest = _seconds(rule.quiet_window, "quiet_window"), _seconds(rule.digest_window, "digest_window")
    if quiet and digest:
        raise InvalidRequest("Set quiet_window or digest_window: a digest is quiet until its end.", field="rule")
    return {
        "name": rule.name,
        "folded_name": fold(rule.name),
        "trigger": rule.trigger,
        "subject": rule.subject,
        "folded_subject": fold(rule.subject),
        "min_score": rule.min_score,
        "budget_share": share if rule.trigger == pb.NOTIFICATION_TRIGGER_BUDGET else 0,
        "channels": list(dict.fromkeys(rule.channels)),
        "quiet_seconds": quiet,
        "digest_seconds": digest,
        "enabled": not rule.disabled,
        "begin_time": func.now(),
    }


def _check(rule: pb.NotificationRule) -> None:
    name = pb.NotificationTrigger.Name(rule.trigger).removeprefix("NOTIFICATION_TRIGGER_")
    if not fold(rule.name):
        raise InvalidRequest(f"{rule.name!r} is no name.", field="rule.name")
    if not rule.trigger:
        raise InvalidRequest("A rule needs a trigger.", field="rule.trigger")
    if not rule.channels:
        raise InvalidRequest("A rule needs a channel.", field="rule.channels")
    if rule.trigger in _WITH_SUBJECT and not fold(rule.subject):
        raise InvalidRequest(f"{name} needs a subject.", field="rule.subject")
    if rule.subject and rule.trigger not in _MAY_HAVE_SUBJECT:
        raise InvalidRequest(f"{name} has no subject.", field="rule.subject")
    if not 0 <= rule.min_score <= 1 or (rule.min_score and rule.trigger not in _WITH_SCORE):
        raise InvalidRequest("min_score is 0 to 1, of a LABEL or a PERSON.", field="rule.min_score")
    if not 0 <= rule.budget_share <= 1 or (rule.budget_share and rule.trigger != pb.NOTIFICATION_TRIGGER_BUDGET):
        raise InvalidRequest("budget_share is over 0 to 1, of BUDGET alone.", field="rule.budget_share")


def _seconds(window: Duration, field: str) -> int:
    if window.nanos or not 0 <= window.seconds <= _MOST_SECONDS:
        raise InvalidRequest(f"{field} is whole seconds, up to 30 days.", field=f"rule.{field}")
    return window.seconds


async def _saved(change: Change, rule: pb.NotificationRule, values: dict[str, Any]) -> UUID:
    """Create the rule, or change it. Raises RuleNotFound and InvalidRequest."""
    own = _columns.collection_id == change.collection_id
    await change.connection.execute(select(func.pg_advisory_xact_lock(_LOCK, change.collection_id)))
    rows = (await change.connection.execute(select(_columns.rule_id, _columns.folded_name).where(own))).all()
    same_name = next((row.rule_id for row in rows if row.folded_name == values["folded_name"]), None)
    if rule.rule_id and same_name is not None and str(same_name) != rule.rule_id:
        raise InvalidRequest(f"There is another rule of the name {rule.name!r}.", field="rule.name")
    if not rule.rule_id and same_name is None:
        if len(rows) >= _MOST_RULES:
            raise InvalidRequest(f"The collection has {_MOST_RULES} rules, which is the limit.", field="rule")
        new_id = UUID(bytes=uuid7().bytes)
        key = {"rule_id": new_id, "collection_id": change.collection_id}
        await change.connection.execute(insert(notification_rule).values(**key, **values))
        return new_id
    changed = update(notification_rule).where(*_key(change, rule.rule_id or str(same_name))).values(values)
    rule_id = (await change.connection.execute(changed.returning(_columns.rule_id))).scalar_one_or_none()
    if rule_id is None:
        raise _not_found(rule.rule_id)
    return UUID(int=rule_id.int)


async def _shown(
    connection: AsyncConnection, collection: str, where: Any, limit: int | None = None
) -> Sequence[pb.NotificationRule]:
    ordered = select(notification_rule).where(where).order_by(_columns.folded_name).limit(limit)
    return [_rule(collection, row) for row in await connection.execute(ordered)]


def _rule(collection: str, row: Any) -> pb.NotificationRule:
    return pb.NotificationRule(
        rule_id=str(row.rule_id),
        collection=collection,
        name=row.name,
        trigger=row.trigger,
        subject=row.subject,
        min_score=row.min_score,
        budget_share=row.budget_share,
        channels=row.channels,
        quiet_window=Duration(seconds=row.quiet_seconds),
        digest_window=Duration(seconds=row.digest_seconds),
        disabled=not row.enabled,
        create_time=timestamp(row.create_time),
        caller=row.caller,
    )


def _key(change: Change, rule_id: str) -> tuple[Any, Any]:
    """Return the conditions for the rule. Raises RuleNotFound for a text that is no identifier."""
    try:
        parsed = UUID(rule_id)
    except ValueError:
        raise _not_found(rule_id) from None
    return _columns.collection_id == change.collection_id, _columns.rule_id == parsed


def _not_found(rule_id: str) -> RuleNotFound:
    return RuleNotFound(f"The collection has no rule {rule_id!r}.", field="rule_id")
