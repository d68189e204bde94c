"""What happens in the library becomes messages: each occurrence once, by what is known as it is sent."""

from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from marquee.library.v1 import library_pb2 as lib
from marquee.library.v1 import notification_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.database.database import Database
from services.library.notifications.rules import forget
from tests.support.library import added, ended, rows, run_sql
from tests.support.notifications import (
    Receiver,
    caught_up,
    deliveries,
    deliveries_when,
    notifying,
    receiving,
    rule,
    webhook,
    write_channels,
)
from tests.support.servers import LEFT, RIGHT, Scripted, face, picture, result, until

CURSOR = "SELECT position FROM notification_cursor"
HOUR = Duration(seconds=3600)


def recognizer() -> Scripted:
    """Return one that finds Anna, a stranger and a dog."""
    dog = v1.Label(name="Dog", score=0.9, parents=["Animal"])
    return Scripted("svm", result=result("svm", face(LEFT, "Anna"), face(RIGHT), labels=[dog]))


async def test_each_trigger_is_told(database_url: str, tmp_path: Path) -> None:
    """A picture is told of by each rule that it fits, with who is in it, and by none that it does not."""
    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path, recognizer()) as clients:
            told = [("PICTURE", ""), ("LABEL", "animal"), ("PERSON", "ANNA"), ("UNKNOWN", ""), ("CATEGORY", "Pets")]
            for trigger, subject in (*told, ("LABEL", "Cat"), ("PERSON", "Bob"), ("NOBODY", ""), ("DISAGREEMENT", "")):
                await rule(clients, trigger, subject)
            shown = await added(clients.library, path="park.jpg", categories=["Pets"])
            await until(lambda: len(receiver.posted) == len(told))
            sent = await deliveries_when(clients, lambda found: len(found) == len(told), "SENT")
    contents = {one.content["type"]: one.content["data"] for one in receiver.posted}
    kinds = {f"notification.{name}" for name in ("picture", "label", "person", "unknown", "category")}
    assert contents.keys() == kinds
    (told_picture,) = contents["notification.person"]["pictures"]
    assert told_picture["picture_id"] == shown.picture_id
    assert [one["display_name"] for one in told_picture["faces"]] == ["Anna", ""]
    assert {one.delivery_id for one in sent} == {one.headers["webhook-id"] for one in receiver.posted}
    assert {tuple(one.occurrence.picture_ids) for one in sent} == {(shown.picture_id,)}


async def test_an_occurrence_is_updated_and_not_repeated(database_url: str, tmp_path: Path) -> None:
    """Within the quiet window one message is sent, and counts what follows; a picture counts once."""
    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path, recognizer()) as clients:
            await rule(clients, "PERSON", "Anna", quiet_window=HOUR)
            first = await added(clients.library, picture((8, 8)))
            await until(lambda: receiver.posted)
            second = await added(clients.library, picture((9, 8)))
            await ended(clients.library, second.picture_id)
            await clients.library.RecognizePicture(lib.RecognizePictureRequest(picture_id=first.picture_id, wait=True))
            await caught_up(clients, lambda: rows(database_url, CURSOR))
            (one,) = await deliveries(clients)
    assert len(receiver.posted) == 1
    assert one.occurrence.picture_count == 2
    assert list(one.occurrence.picture_ids) == [second.picture_id, first.picture_id]
    assert one.occurrence.last_time.ToDatetime() > one.occurrence.first_time.ToDatetime()


async def test_who_is_named_by_neighbours_is_told(database_url: str, tmp_path: Path) -> None:
    """Somebody whom a face's neighbours name, once its picture was recognized, is told of then, and alone."""
    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path, recognizer()) as clients:
            await rule(clients, "PERSON", "Zoe")
            await rule(clients, "LABEL", "Dog")
            picture_id = (await added(clients.library)).picture_id
            await ended(clients.library, picture_id)
            await deliveries_when(clients, lambda found: found)
            named = "UPDATE face SET state = 1, person_id = 'zoe', display_name = 'Zoe', score = 0.9 WHERE state = 2"
            grouped = (
                f"INSERT INTO event (collection_id, picture_id, type) VALUES (1, '{picture_id}', 'picture.grouped')"  # noqa: S608 - of a test
            )
            await run_sql(database_url, f"{named}; {grouped}")
            await deliveries_when(clients, lambda found: len(found) == 2, "SENT")
            await caught_up(clients, lambda: rows(database_url, CURSOR))
    assert [one.content["type"] for one in receiver.posted] == ["notification.label", "notification.person"]


async def test_a_digest_is_sent_at_its_end(database_url: str, tmp_path: Path) -> None:
    """All pictures of a digest's window are one message, sent when the window ends."""
    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path, recognizer()) as clients:
            await rule(clients, "PICTURE", digest_window=Duration(seconds=2))
            shown = [await added(clients.library, picture((8 + size, 8))) for size in range(3)]
            for one in shown:
                await ended(clients.library, one.picture_id)
            (waiting,) = await deliveries_when(clients, lambda found: found)
            assert waiting.next_attempt_time.ToDatetime() > waiting.occurrence.first_time.ToDatetime()
            await until(lambda: receiver.posted)
    data = receiver.posted[0].content["data"]
    assert len(receiver.posted) == 1
    assert data["picture_count"] == len(data["pictures"]) == 3


async def test_what_is_not_to_be_told_is_not(database_url: str, tmp_path: Path) -> None:
    """Nobody is told of what was before the rule, of a rule that rests, and of imports."""
    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path, recognizer(), s3_allowed="photos") as clients:
            await ended(clients.library, (await added(clients.library, picture((8, 8)))).picture_id)
            resting = await rule(clients, "PICTURE", disabled=True)
            imported = lib.ImportedAnswer(
                s3_object=v1.S3Object(bucket="photos", key="a.jpg"),
                result=v1.RecognizerResult(recognizer="rekognition", outcome=v1.OUTCOME_OK),
            )
            imported.create_time.GetCurrentTime()
            await ended(clients.library, (await added(clients.library, picture((9, 8)))).picture_id)
            await rule(clients, "PICTURE", name="anew")
            await clients.library.ImportAnswers(lib.ImportAnswersRequest(answers=[imported]))
            await caught_up(clients, lambda: rows(database_url, CURSOR))
            assert await deliveries(clients) == []
            removal = pb.DeleteNotificationRuleRequest(rule_id=resting.rule_id)
            await clients.notifications.DeleteNotificationRule(removal)
    assert receiver.posted == []


@pytest.mark.parametrize("what", ["erased", "trashed", "forgotten"])
async def test_what_is_erased_meanwhile_is_told_nobody(database_url: str, tmp_path: Path, what: str) -> None:
    """A message that waits is dropped once its picture, or the person whom it names, is gone."""
    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path, recognizer()) as clients:
            await rule(clients, "PERSON", digest_window=Duration(seconds=2))
            picture_id = (await added(clients.library)).picture_id
            await deliveries_when(clients, lambda found: found)
            if what == "erased":
                await clients.library.ErasePicture(lib.ErasePictureRequest(picture_id=picture_id))
            elif what == "trashed":
                await clients.library.DeletePicture(lib.DeletePictureRequest(picture_id=picture_id))
            else:
                (person_id,) = (await rows(database_url, "SELECT person_id FROM face WHERE person_id <> ''"))[0]
                database = Database(database_url)
                async with database.begin() as connection:
                    assert await forget(connection, 1, str(person_id), ["Anna"]) == 1
                await database.close()
            await deliveries_when(clients, lambda found: not found)
    assert receiver.posted == []


async def test_a_kept_cursor_misses_nothing(database_url: str, tmp_path: Path) -> None:
    """What happens while no library runs is told by the next one, and by one of several replicas."""
    with receiving(Receiver()) as receiver:
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with notifying(database_url, tmp_path, recognizer()) as clients:
            await rule(clients, "PICTURE")
            await clients.notifications.ListChannels(pb.ListChannelsRequest())
        write_channels(tmp_path / "channels.yaml")
        async with notifying(database_url, tmp_path, recognizer()) as clients:
            shown = [await added(clients.library, picture((8 + size, 8))) for size in range(4)]
            for one in shown:
                await ended(clients.library, one.picture_id)
        write_channels(tmp_path / "channels.yaml", hook=webhook(receiver))
        async with (
            notifying(database_url, tmp_path, recognizer()) as clients,
            notifying(database_url, tmp_path, recognizer()),
        ):
            await deliveries_when(clients, lambda found: len(found) == len(shown), "SENT")
    ids = [one.content["data"]["pictures"][0]["picture_id"] for one in receiver.posted]
    assert sorted(ids) == sorted(one.picture_id for one in shown)
