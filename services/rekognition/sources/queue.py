"""SQS as a source of the Lambda function.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: messages whose ids are returned stay in
the queue, and come back when their visibility timeout ends.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.runtime.storage.failures import code_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = structlog.get_logger()
_MAX_HIDDEN = 12 * 3600 - 15 * 60
"""Seconds: SQS hides a message for 12 hours from its receipt, and a function may take 15 minutes until it asks."""
_BATCH = 10
"""Messages that SQS takes in one request."""


@dataclass(frozen=True)
class Message:
    """A message of SQS."""

    id: str
    body: str
    receipt: str
    queue_arn: str


def is_queued(event: Any) -> bool:
    """Return whether the event has messages of SQS."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    return isinstance(records, list) and any(_source(record) == "aws:sqs" for record in records)


def messages(event: Mapping[str, Any]) -> list[Message]:
    """Return the event's messages. Raises ValueError if one has no id or no body."""
    return [_message(record) for record in event["Records"]]


def failures(failed: Iterable[Message]) -> dict[str, Any]:
    """Return the response that keeps these messages in the queue, each once; SQS deletes the others."""
    return {"batchItemFailures": [{"itemIdentifier": one} for one in dict.fromkeys(message.id for message in failed)]}


def hide(hidden: Sequence[Message], seconds: float) -> None:
    """Let the messages come back only after so many seconds, or after 11:45 hours, the most that SQS grants. Blocks.

    Where SQS refuses, they come back after the queue's own visibility timeout; the log says why.
    """
    timeout = min(math.ceil(seconds), _MAX_HIDDEN)
    for first in range(0, len(hidden), _BATCH):
        for reason in _hide(hidden[first : first + _BATCH], timeout):
            logger.warning("message not put off", queue=hidden[0].queue_arn, error=reason)


def _hide(batch: Sequence[Message], timeout: int) -> Iterator[str]:
    """Hide at most ten messages of one queue; yield the reasons of those that SQS refuses."""
    region, account, name = [*batch[0].queue_arn.split(":")[3:], "", "", ""][:3]
    entries = [
        {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": timeout}
        for number, message in enumerate(batch)
    ]
    try:
        client = _client(region)
        url = f"{client.meta.endpoint_url}/{account}/{name}"
        response = client.change_message_visibility_batch(QueueUrl=url, Entries=entries)  # type: ignore[arg-type]
        yield from (f"{one['Code']}: {one.get('Message', '')}" for one in response.get("Failed", ()))
    except (BotoCoreError, ClientError, ValueError) as exc:
        yield str(exc) if isinstance(exc, ValueError) else code_of(exc)


def _source(record: Any) -> object:
    return record.get("eventSource") if isinstance(record, Mapping) else None


def _message(record: Any) -> Message:
    if _source(record) != "aws:sqs" or not all(isinstance(record.get(name), str) for name in ("messageId", "body")):
        raise ValueError("A record is no message of SQS: eventSource aws:sqs, messageId and body are needed.")
    return Message(
        record["messageId"], record["body"], str(record.get("receiptHandle", "")), str(record.get("eventSourceARN", ""))
    )


@cache
def _client(region: str) -> "SQSClient":
    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})
    return boto3.Session(region_name=region).client("sqs", config=config)
