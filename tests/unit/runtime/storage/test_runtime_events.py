"""Reading created objects from S3's notifications. The Lambda's tests have complete events."""

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


def test_s3_encodes_keys_and_event_bridge_does_not() -> None:
    """Keys from S3 are decoded, keys from EventBridge are not, and both keep their versions."""
    assert created_objects({"Records": [record("a+b%20%231.jpg")]}) == [S3Url("b", "a b #1.jpg", "v1")]
    assert created_objects(bridged("a+b%20c.jpg")) == [S3Url("b", "a+b%20c.jpg", "v1")]


def test_an_event_has_all_its_records() -> None:
    """An event's records all become objects, in their order."""
    keys = ["b.jpg", "a.jpg"]
    assert [url.key for url in created_objects({"Records": [record(key) for key in keys]})] == keys


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [record("a", eventName="ObjectRemoved:Delete")]},
        bridged("a", "Object Deleted"),
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"},
    ],
)
def test_other_s3_events_create_nothing(event: dict[str, Any]) -> None:
    """A removal and S3's test message create no objects."""
    assert created_objects(event) == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": None},
        {"Records": [{}]},
        {"Records": ["text"]},
        {"Records": [record("a", s3={})]},
        {"Records": [record("a", eventSource="aws:sqs")]},
        {"source": "aws.s3"},
        {"source": "aws.s3", "detail": "text"},
    ],
)
def test_other_events_are_refused(event: dict[str, Any]) -> None:
    """Any other event is refused with an error that mentions S3, whatever is missing or of another type."""
    with pytest.raises(ValueError, match="S3"):
        created_objects(event)
