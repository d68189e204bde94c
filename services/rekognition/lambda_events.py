"""Which objects of S3 a Lambda event asks for. Pure.

Events come from a caller ({"bucket", "object_name"}), from S3 or EventBridge, and from SQS, whose messages hold one
of the others.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.runtime.storage.events import created_objects


@dataclass(frozen=True)
class ObjectAsked:
    """One object of S3."""

    bucket: str
    key: str
    version: str = ""
    message_id: str = ""
    """Of the message from SQS that asks for it; empty: none."""

    @property
    def url(self) -> str:
        """For people, and for the table."""
        return f"s3://{self.bucket}/{self.key}"


def is_direct(event: Mapping[str, Any]) -> bool:
    """Whether a caller asks for one object and waits for the answer."""
    return "bucket" in event or "object_name" in event


def is_queued(event: Mapping[str, Any]) -> bool:
    """Whether the messages come from SQS, which takes them back one by one."""
    return any(record.get("eventSource") == "aws:sqs" for record in event.get("Records", ()))


def objects_of(event: Mapping[str, Any], message_id: str = "") -> list[ObjectAsked]:
    """All objects that were asked for or created; none for what S3 sends to try a queue. Raises ValueError."""
    if is_direct(event):
        return [ObjectAsked(_text(event, "bucket"), _text(event, "object_name"), message_id=message_id)]
    if event.get("source") != "aws.s3" and event.get("Event") != "s3:TestEvent" and "Records" not in event:
        raise ValueError(
            'The event has neither "bucket" and "object_name" nor Records of S3 or SQS. '
            'Send {"bucket": "BUCKET", "object_name": "KEY"}.'
        )
    return [ObjectAsked(url.bucket, url.key, url.version, message_id) for url in created_objects(event)]


def messages_of(event: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What SQS's messages hold, by their ids; {} for one that is no JSON object."""
    return {record["messageId"]: _json(record["body"]) for record in event["Records"]}


def _json(body: str) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except json.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f'The event needs "{name}", a text. Send {{"bucket": "BUCKET", "object_name": "KEY"}}.')
    return value
