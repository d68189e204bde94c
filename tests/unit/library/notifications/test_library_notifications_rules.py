"""Rules and channels, as callers see them; and what a replica that dies leaves behind."""

import time
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from marquee.library.v1 import notification_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.database.database import Database
from services.library.notifications.budget import Budget
from tests.support.library import added, refused, rows
from tests.support.notifications import (
    SECRET,
    TRIGGERS,
    Answer,
    Posted,
    Receiver,
    deliveries_when,
    notifying,
    receiving,
    rule,
    webhook,
    write_channels,
)
from tests.support.servers import until
from tests.unit.library.work.test_library_work_leases import replica

INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")
UNKNOWN = ("NOT_FOUND", "RULE_NOT_FOUND")
HOOK = {"type": "webhook", "url": "https://hook.example/", "secrets": [SECRET]}


async def test_rules_are_set_listed_and_deleted(database_url: str, tmp_path: Path) -> None:
    """A rule is known by its name, whatever its case, or its identifier; a repeated call changes nothing."""
    write_channels(tmp_path / "channels.yaml", hook=HOOK, mine={**HOOK, "collections": ["pictures"]})
    async with notifying(database_url, tmp_path) as clients:
        service = clients.notifications
        made = await rule(clients, "PERSON", "Anna", name="Ädele", channels=["hook", "mine"])
        again = await rule(clients, "LABEL", "Dog", name="adele", min_score=0.5, quiet_window=Duration(seconds=60))
        assert again.rule_id == made.rule_id
        renamed = pb.NotificationRule(
            rule_id=made.rule_id, name="Dogs", trigger=TRIGGERS["LABEL"], subject="Dog", channels=["hook"]
        )
        request = pb.SetNotificationRuleRequest(rule=renamed, request_id="2")
        first = await service.SetNotificationRule(request)
        assert await service.SetNotificationRule(request) == first
        await rule(clients, "BUDGET", name="Money")
        page = await service.ListNotificationRules(pb.ListNotificationRulesRequest(page_size=1))
        rest = await service.ListNotificationRules(pb.ListNotificationRulesRequest(page_token=page.next_page_token))
        assert [one.name for one in (*page.rules, *rest.rules)] == ["Dogs", "Money"]
        assert rest.rules[0].budget_share == pytest.approx(0.8)
        assert list(page.rules) == [first.rule]
        await service.DeleteNotificationRule(pb.DeleteNotificationRuleRequest(rule_id=made.rule_id))
        for rule_id in (made.rule_id, "nobody"):
            gone = pb.DeleteNotificationRuleRequest(rule_id=rule_id)
            assert await refused(service.DeleteNotificationRule(gone)) == UNKNOWN
        elsewhere = pb.ListNotificationRulesRequest(collection="other")
        assert not (await service.ListNotificationRules(elsewhere)).rules


async def test_what_makes_no_sense_is_refused(database_url: str, tmp_path: Path) -> None:
    """A rule without a name, a trigger, a channel or what it looks for is refused, and so is what means nothing."""
    write_channels(tmp_path / "channels.yaml", hook=HOOK, theirs={**HOOK, "collections": ["other"]})
    wrong = [
        {"trigger": "UNSPECIFIED"},
        {"name": " "},
        {"channels": []},
        {"channels": ["theirs"]},
        {"channels": ["nobody"]},
        {"trigger": "LABEL"},
        {"trigger": "UNKNOWN", "subject": "Anna"},
        {"min_score": 1.5, "trigger": "PERSON"},
        {"min_score": 0.5},
        {"budget_share": 0.5},
        {"budget_share": 1.5, "trigger": "BUDGET"},
        {"quiet_window": Duration(nanos=1)},
        {"digest_window": Duration(seconds=40 * 86_400)},
        {"quiet_window": Duration(seconds=1), "digest_window": Duration(seconds=1)},
    ]
    async with notifying(database_url, tmp_path) as clients:
        for fields in wrong:
            assert await refused(rule(clients, **{"trigger": "PICTURE", **fields})) == INVALID, fields
        unknown = rule(clients, "PICTURE", rule_id="01a2202d-59fe-7deb-a18b-cd261af62279")
        assert await refused(unknown) == UNKNOWN
        first, second = await rule(clients, "PICTURE", name="a"), await rule(clients, "PICTURE", name="b")
        assert first.rule_id != second.rule_id
        assert await refused(rule(clients, "PICTURE", name="a", rule_id=second.rule_id)) == INVALID
        token = pb.ListDeliveriesRequest(page_token="nobody's")  # noqa: S106 - no password
        assert await refused(clients.notifications.ListDeliveries(token)) == INVALID


async def test_a_channel_is_tested(database_url: str, tmp_path: Path) -> None:
    """A test sends one real message and says what became of it; callers see names of channels, and no secret."""
    answers = [Answer(500)]
    with receiving(Receiver(lambda _: answers.pop() if answers else Answer())) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver), theirs={**HOOK, "collections": ["other"]})
        async with notifying(database_url, tmp_path) as clients:
            listed = await clients.notifications.ListChannels(pb.ListChannelsRequest())
            assert list(listed.channels) == [pb.Channel(name="hook", type="webhook")]
            failed = await clients.notifications.TestChannel(pb.TestChannelRequest(channel="hook"))
            fine = await clients.notifications.TestChannel(pb.TestChannelRequest(channel="hook"))
            theirs = pb.TestChannelRequest(channel="theirs")
            assert await refused(clients.notifications.TestChannel(theirs)) == INVALID
    assert (failed.status.message, fine.status.code) == ("The webhook answered 500.", 0)
    assert [one.content["type"] for one in receiver.posted] == ["notification.test"] * 2
    assert fine.delivery_id == receiver.posted[1].headers["webhook-id"]
    assert fine.duration.ToNanoseconds() > 0


async def test_budgets_are_told_once_a_day(database_url: str, tmp_path: Path) -> None:
    """A recognizer that has spent the rule's share of its cap is told of, once; others are not."""
    spent = {"rekognition": (85, 100), "cheap": (10, 100), "free": (5, 0)}
    listed = v1.ListRecognizersResponse()
    for name, (today, cap) in spent.items():
        money = v1.Spending(today_micro_usd=today * 10_000, daily_cap_micro_usd=cap * 10_000)
        listed.recognizers.add(name=name, spending=money)

    async def recognizers() -> v1.ListRecognizersResponse:
        return listed

    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path) as clients:
            await rule(clients, "BUDGET")
            await rule(clients, "BUDGET", "cheap", budget_share=0.5)
            database = Database(database_url)
            for _ in range(2):
                await Budget(database, recognizers).turn()
            await database.close()
            (sent,) = await deliveries_when(clients, lambda found: found, "SENT")
    (posted,) = receiver.posted
    assert sent.occurrence.trigger == TRIGGERS["BUDGET"]
    assert posted.content["data"]["budget"] == {
        "recognizer": "rekognition",
        "spent_micro_usd": 850_000,
        "cap_micro_usd": 1_000_000,
    }


@pytest.mark.slow
async def test_a_message_outlives_its_sender(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a replica that is killed before it knows that it sent, another one sends with the same identifier."""
    ids: list[str] = []
    may_answer: list[bool] = []

    def answer(posted: Posted) -> Answer:
        ids.append(posted.headers["webhook-id"])
        while len(ids) == 1 and not may_answer:
            time.sleep(0.05)
        return Answer()

    with receiving(Receiver(answer)) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        monkeypatch.setenv("MARQUEE_LIBRARY_CHANNELS", str(tmp_path / "channels.yaml"))
        monkeypatch.setenv("MARQUEE_LIBRARY_WEBHOOKS_PRIVATE", "127.0.0.0/8")
        async with notifying(database_url, tmp_path, library_webhooks_private="") as clients:
            await rule(clients, "PICTURE", digest_window=Duration(seconds=600))
            await added(clients.library)
            await deliveries_when(clients, lambda found: found)
        with replica(tmp_path / "one", database_url, "127.0.0.1:9") as process:
            await rows(database_url, "UPDATE notification_delivery SET next_attempt_time = now() RETURNING 1")
            await until(lambda: ids)
            process.process.kill()
            process.process.wait()
            may_answer.append(True)
        async with notifying(database_url, tmp_path, library_lease_seconds=2) as clients:
            (sent,) = await deliveries_when(clients, lambda found: found, "SENT")
    assert ids == [sent.delivery_id] * 2
    assert sent.attempts == 2
