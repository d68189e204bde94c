"""The Python client and the command, on a real library that posts to a real receiver."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import marquee
from tests.support.client import Result
from tests.support.client import marquee as run_command
from tests.support.library import library_server
from tests.support.notifications import LOOPBACK, Answer, Receiver, receiving, webhook, write_channels
from tests.support.servers import LEFT, Scripted, face, gateway, leaf, picture, result, until


class Place:
    """A library with one channel, and what that posts to."""

    def __init__(self, receiver: Receiver, address: str) -> None:
        self.receiver = receiver
        self.address = address


@pytest.fixture
async def place(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Serve a library at MARQUEE_LIBRARY_ADDRESS, whose only channel takes nothing for good at first."""
    answers = [Answer(410)]
    recognizer = Scripted("svm", result=result("svm", face(LEFT, "Anna")))
    settings = {"library_channels": tmp_path / "channels.yaml", "library_webhooks_private": LOOPBACK}
    with receiving(Receiver(lambda _: answers.pop() if answers else Answer())) as receiver, capture_logs():
        write_channels(tmp_path / "channels.yaml", door=webhook(receiver))
        async with (
            leaf(recognizer) as target,
            gateway({"svm": target}) as called,
            library_server(database_url, tmp_path / "store", called, **settings) as address,
        ):
            monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", address)
            yield Place(receiver, address)


async def command(*arguments: str) -> Result:
    return await asyncio.to_thread(run_command, "notify", *arguments)


async def test_the_command_leads_from_a_channel_to_a_message(place: Place) -> None:
    """Channels are shown and tested, rules set and deleted, deliveries shown and sent again, as tables and JSON."""
    assert "webhook" in (await command("channels")).stdout
    failed = await command("test", "door")
    assert (failed.exit_code, failed.stderr.strip()) == (1, "door: The webhook answered 410.")
    assert "door has taken message" in (await command("test", "door")).stdout
    assert (await command("test", "gate")).exit_code == 2
    assert "There are no rules yet" in (await command("rules")).stdout
    options = ("--on", "person", "--subject", "Anna", "--channel", "door", "--quiet", "60")
    assert "once in 60 s" in (await command("rules", "set", "Anna is here", *options)).stdout
    (rule,) = json.loads((await command("rules", "-o", "json")).stdout)
    assert (rule["trigger"], rule["subject"], rule["quiet_window"]) == ("PERSON", "Anna", 60.0)
    async with marquee.AsyncLibraryClient(place.address) as library:
        await library.add(picture(), wait=True)
    await until(lambda: len(place.receiver.posted) == 3)
    async with marquee.AsyncNotificationClient(place.address) as client:
        while not [one async for one in client.deliveries("SENT")]:  # noqa: ASYNC110 - the server changes them
            await asyncio.sleep(0.05)
    assert "Anna is here" in (await command("deliveries")).stdout
    sent = json.loads((await command("deliveries", "--state", "sent", "-o", "json")).stdout)
    assert (sent["state"], sent["channel"]) == ("SENT", "door")
    assert "0 messages are sent again" in (await command("retry")).stdout
    assert (await command("rules", "delete", "ANNA IS HERE")).stdout == "Anna is here is deleted.\n"
    gone = await command("rules", "delete", "Anna is here", "-o", "json")
    assert gone.exit_code == 1
    wrong = await command("rules", "set", "a", "--on", "nothing", "--channel", "door")
    assert (wrong.exit_code, "none of picture" in wrong.stderr) == (2, True)


async def test_the_clients_have_the_same_methods(place: Place) -> None:
    """What one client sets, the other lists, and errors are those of the package."""

    def work() -> marquee.NotificationRule:
        with marquee.NotificationClient(place.address) as client:
            made = client.set_rule("Spending", "BUDGET", ["door"], budget_share=0.5, digest_window=60)
            assert [one.rule_id for one in client.rules()] == [made.rule_id]
            assert [(one.name, one.type) for one in client.channels()] == [("door", "webhook")]
            assert client.test("door").status.code == "UNAVAILABLE"
            assert list(client.deliveries()) == []
            assert client.delivery_counts() == marquee.DeliveryCounts(0, 0)
            assert client.retry() == 0
            return made

    made = await asyncio.to_thread(work)
    async with marquee.AsyncNotificationClient(place.address) as client:
        again = await client.set_rule("spending", marquee.NotificationTrigger.BUDGET, ["door"])
        assert (again.rule_id, again.budget_share) == (made.rule_id, pytest.approx(0.8))
        assert [one async for one in client.rules()] == [again]
        assert (await client.test("door")).status.code == "OK"
        assert len(await client.channels()) == 1
        assert (await client.delivery_counts()).dead_count == await client.retry() == 0
        await client.delete_rule(again.rule_id)
        with pytest.raises(marquee.RuleNotFound):
            await client.delete_rule(again.rule_id)
        with pytest.raises(marquee.InvalidRequest):
            await client.set_rule("a", "nothing", ["door"])
