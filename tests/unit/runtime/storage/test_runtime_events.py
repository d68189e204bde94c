"""Reading created objects from S3's notifications. The Lambda's tests have AWS's complete events."""

import json
from typing import Any

import pytest

from services.runtime.storage.events import created_objects
from services.runtime.storage.s3 import S3Url


def record(key: str, **changes: Any) -> dict[str, Any]:
    item = {"bucket": {"name": "b"}, "object": {"key": key, "versionId": "v1"}}
    return {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": item} | changes


def bridged(key: str, kind: str = "Object Created") -> dict[str, Any]:
    detail = {"bucket": {"name": "b"}, "object": {"key": key, "version-id": "v1"}}
    return {"source": "aws.s3", "detail-type": kind, "detail": detail}


def published(message: object) -> dict[str, Any]:
    """Return a message of SNS as Lambda gets it."""
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(message)}}]}


def wrapped(message: object) -> dict[str, Any]:
    """Return a message of SNS as a queue gets it."""
    return {"Type": "Notification", "Message": json.dumps(message)}


TEST = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}


def test_s3_encodes_keys_and_event_bridge_does_not() -> None:
    """Keys from S3 are decoded, keys from EventBridge are not, and both keep their versions."""
    assert created_objects({"Records": [record("a+b%20%231.jpg")]}) == [S3Url("b", "a b #1.jpg", "v1")]
    assert created_objects(bridged("a+b%20c.jpg")) == [S3Url("b", "a+b%20c.jpg", "v1")]


def test_an_event_has_all_its_records() -> None:
    """An event's records all become objects, in their order."""
    keys = ["b.jpg", "a.jpg"]
    assert [url.key for url in created_objects({"Records": [record(key) for key in keys]})] == keys


@pytest.mark.parametrize("wrap", [published, wrapped, lambda message: published(wrapped(message))])
@pytest.mark.parametrize("event", [{"Records": [record("a")]}, bridged("a")])
def test_sns_wraps_either(wrap: Any, event: dict[str, Any]) -> None:
    """A message of SNS, to Lambda or to a queue, is read as what it contains."""
    assert created_objects(wrap(event)) == [S3Url("b", "a", "v1")]


@pytest.mark.parametrize(
    "event",
    [
        *({"Records": [record("a", eventName=name)]} for name in ("ObjectRemoved:Delete", "ObjectTagging:Put")),
        *(bridged("a", kind) for kind in ("Object Deleted", "Object Tags Added", "Object Kind That Comes Next Year")),
        {"Records": []},
        TEST,
        published(TEST),
    ],
)
def test_other_s3_events_create_nothing(event: dict[str, Any]) -> None:
    """Whatever else befalls an object, and S3's test message, creates no objects."""
    assert created_objects(event) == []


@pytest.mark.parametrize(
    "event",
    [
        *({}, [], None, "Records", 5),
        {"Records": None},
        {"Records": [{}]},
        {"Records": ["text"]},
        {"Records": [record("a", s3={})]},
        {"Records": [record("a", eventName=None)]},
        {"Records": [record("a", eventSource="aws:sqs")]},
        {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "Hello"}}]},
        {"source": "aws.s3"},
        bridged("a") | {"detail": "text"},
        bridged("a") | {"detail": {"bucket": {"name": "b"}, "object": {"key": 5}}},
        bridged("a") | {"detail": {"bucket": {"name": "b"}, "object": {"key": "a", "version-id": 0}}},
        published("Hello"),
        wrapped([[]]),
        {"Type": "Notification", "Message": "[" * 100_000},
        {"Type": "SubscriptionConfirmation", "Message": "x"},
    ],
)
def test_other_events_are_refused(event: Any) -> None:
    """Any other event is refused with an error that names the known forms, whatever is missing or of another type."""
    with pytest.raises(ValueError, match=r"no event of S3: .*; known are S3's .*EventBridge's .*SNS"):
        created_objects(event)
