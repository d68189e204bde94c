"""Objects that events report as created. Pure.

S3 notifies, and URL-encodes keys; or EventBridge does, and encodes nothing; SNS wraps either in its messages:

    S3            {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {...}}]}
    EventBridge   {"source": "aws.s3", "detail-type": "Object Created", "detail": {...}}
    SNS           {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": TEXT}}]}
    SNS in SQS    {"Type": "Notification", "Message": TEXT}

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from services.runtime.storage.s3 import S3Url

_FORMS = (
    "known are S3's notifications (Records with eventSource aws:s3), EventBridge's events (source aws.s3), "
    "and either as the Message of SNS"
)


def created_objects(event: Any) -> list[S3Url]:
    """Return the objects that were created, with their versions; none for anything else that befell an object.

    So deletions, tags, permissions, storage classes and S3's test event are fine, and empty. Raises ValueError if
    the event is of no known form.
    """
    try:
        return list(_objects(event))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as exc:
        detail = str(exc) if type(exc) is ValueError else repr(exc)
        raise ValueError(f"This is no event of S3: {detail}; {_FORMS}.") from None


def is_later(sequencer: str, than: str) -> bool:
    """Return whether the event with this sequencer befell its key after the other one; an empty one is the earliest.

    They are hexadecimal numbers whose ends are cut off, so the shorter one is filled with zeros.
    """
    length = max(len(sequencer), len(than))
    return sequencer.upper().ljust(length, "0") > than.upper().ljust(length, "0")


def _objects(event: Any) -> Iterator[S3Url]:
    if not isinstance(event, Mapping):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - as all that is wrong with an event
    if "Records" in event:
        for record in event["Records"]:
            yield from _of_record(record)
    elif event.get("Type") == "Notification":
        yield from _objects(json.loads(event["Message"]))
    elif event.get("source") == "aws.s3":
        yield from _of_event_bridge(event)
    elif event.get("Event") != "s3:TestEvent":
        raise ValueError(f"its members are {sorted(event)[:10]}")


def _of_record(record: Mapping[str, Any]) -> Iterator[S3Url]:
    if record.get("EventSource") == "aws:sns":
        yield from _objects(json.loads(record["Sns"]["Message"]))
    elif record.get("eventSource") != "aws:s3":
        raise ValueError(f"a record comes from {record.get('eventSource')!r}")
    elif record["eventName"].startswith("ObjectCreated:"):
        bucket, item = record["s3"]["bucket"], record["s3"]["object"]
        yield _url(bucket["name"], unquote_plus(item["key"]), item.get("versionId"))


def _of_event_bridge(event: Mapping[str, Any]) -> Iterator[S3Url]:
    if event["detail-type"] == "Object Created":
        bucket, item = event["detail"]["bucket"], event["detail"]["object"]
        yield _url(bucket["name"], item["key"], item.get("version-id"))


def _url(bucket: object, key: object, version: object) -> S3Url:
    version = "" if version is None else version
    if not (isinstance(bucket, str) and isinstance(key, str) and isinstance(version, str)):
        raise TypeError("bucket, key and version are strings")
    return S3Url(bucket, key, version)
