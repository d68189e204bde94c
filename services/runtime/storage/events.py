"""Event notifications of S3. Pure.

They come from S3 itself, which URL-encodes keys, or through EventBridge, which does not.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from services.runtime.storage.s3 import S3Url


def created_objects(event: Mapping[str, Any]) -> list[S3Url]:
    """Return the objects that were created, with their versions; none for deletions and for S3's test event.

    Raises ValueError if the event is not from S3.
    """
    try:
        return list(_objects(event))
    except (AttributeError, KeyError, TypeError) as exc:
        raise ValueError(f"The event is not in the format of S3: {exc}.") from exc


def _objects(event: Mapping[str, Any]) -> Iterator[S3Url]:
    if event.get("Event") == "s3:TestEvent":
        return
    if event.get("source") == "aws.s3":
        yield from _of_event_bridge(event)
        return
    for record in event["Records"]:
        yield from _of_record(record)


def _of_event_bridge(event: Mapping[str, Any]) -> Iterator[S3Url]:
    if event.get("detail-type") != "Object Deleted":
        bucket, item = event["detail"]["bucket"], event["detail"]["object"]
        yield S3Url(bucket["name"], item["key"], item.get("version-id", ""))


def _of_record(record: Mapping[str, Any]) -> Iterator[S3Url]:
    if record.get("eventSource") != "aws:s3":
        raise ValueError(f"A record comes from {record.get('eventSource')!r}, not from S3.")
    if str(record.get("eventName", "")).startswith("ObjectCreated:"):
        bucket, item = record["s3"]["bucket"], record["s3"]["object"]
        yield S3Url(bucket["name"], unquote_plus(item["key"]), item.get("versionId", ""))
