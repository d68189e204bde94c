"""Name the people in objects of S3, as an AWS Lambda function: `services.rekognition.lambda_function.lambda_handler`.

Pictures go to Rekognition by reference and are never fetched, so the function needs neither Pillow nor NumPy:
JPEG and PNG of at most 15 MB, in Rekognition's region. Cap, prices, rates and attempts are the recognizer's.

Events come from a caller ({"bucket", "object_name"}), from S3 or EventBridge, and from SQS, whose messages contain
one of the others.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from services.rekognition import results
from services.rekognition.aws.account import Account
from services.rekognition.request import Request
from services.rekognition.settings import LambdaSettings
from services.rekognition.table.client import connect, explained
from services.runtime import logs
from services.runtime.errors import DomainError, InvalidImage
from services.runtime.storage.events import created_objects
from services.runtime.storage.s3 import S3Url

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = structlog.get_logger()
_RESPONSE_SECONDS = 1.0
"""Kept back of the function's time, to write and return what was paid for."""
_Result: TypeAlias = dict[str, Any]
_Outcome: TypeAlias = _Result | DomainError


class RecognitionFailed(Exception):
    """Some objects, which the message names, could not be recognized now. Lambda and its sources try again."""


def lambda_handler(event: Mapping[str, Any], context: Any) -> _Result:
    """Recognize all objects of the event.

    Returns {"bucket", "object_name", "names": [{"name", "confidence"}], "cost_micro_usd"} for a direct call,
    {"results": [...]} for S3 and EventBridge, {"batchItemFailures": [...]} for SQS; confidence is 0 to 100.
    Raises RecognitionFailed for what may succeed later; a picture that can never be read is a result with an
    `error` instead, unless the call is direct.
    """
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _RESPONSE_SECONDS
    if _is_queued(event):
        return asyncio.run(_recognize_messages(event, deadline))
    objects = objects_of(event)
    outcomes = asyncio.run(_recognize_all(objects, deadline))
    recognized = [one for one in outcomes if not isinstance(one, DomainError)]
    if len(recognized) < len(outcomes) or (_is_direct(event) and "error" in recognized[0]):
        raise RecognitionFailed(" ".join(_failures(objects, outcomes)))
    return recognized[0] if _is_direct(event) else {"results": recognized}


def objects_of(event: Mapping[str, Any]) -> list[S3Url]:
    """Return the objects that an event asks for or reports as created; none for S3's test of a queue.

    Raises ValueError.
    """
    if _is_direct(event):
        return [S3Url(_text(event, "bucket"), _text(event, "object_name"))]
    if event.get("source") != "aws.s3" and event.get("Event") != "s3:TestEvent" and "Records" not in event:
        raise ValueError(
            'The event has neither "bucket" and "object_name" nor Records of S3 or SQS. '
            'Send {"bucket": "BUCKET", "object_name": "KEY"}.'
        )
    return created_objects(event)


def _is_direct(event: Mapping[str, Any]) -> bool:
    """Return whether a caller asks for one object and waits for the response."""
    return "bucket" in event or "object_name" in event


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f'The event needs "{name}", a string. Send {{"bucket": "BUCKET", "object_name": "KEY"}}.')
    return value


def _is_queued(event: Mapping[str, Any]) -> bool:
    """Return whether the event has messages from SQS, which takes them back one by one."""
    return any(record.get("eventSource") == "aws:sqs" for record in event.get("Records", ()))


async def _recognize_messages(event: Mapping[str, Any], deadline: float) -> _Result:
    """Return the failed messages, so that SQS sends them again, or to its dead-letter queue."""
    failures, owners, objects = [], list[str](), list[S3Url]()
    for record in event["Records"]:
        message_id = record["messageId"]
        try:
            contents = objects_of(_message(record["body"]))
        except ValueError as exc:
            logger.warning("message not understood", message_id=message_id, error=str(exc))
            failures.append(message_id)
        else:
            objects += contents
            owners += [message_id] * len(contents)
    outcomes = await _recognize_all(objects, deadline)
    failures += [owner for owner, one in zip(owners, outcomes, strict=True) if isinstance(one, DomainError)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in dict.fromkeys(failures)]}


def _message(body: str) -> Mapping[str, Any]:
    """Return the message as JSON; {} if it is no JSON object."""
    try:
        message = json.loads(body)
    except json.JSONDecodeError:
        return {}
    return message if isinstance(message, dict) else {}


async def _recognize_all(objects: Sequence[S3Url], deadline: float) -> list[_Outcome]:
    await asyncio.to_thread(_account().refresh)
    return list(await asyncio.gather(*(_recognize(one, deadline) for one in objects)))


async def _recognize(url: S3Url, deadline: float) -> _Outcome:
    result: _Result = {"bucket": url.bucket, "object_name": url.key}
    try:
        result |= await _names(url, deadline)
        await asyncio.to_thread(_write, url, result)
    except DomainError as exc:
        logger.warning("not recognized", object=str(url), version=url.version, error=exc.message)
        return exc
    logger.info("recognized", object=str(url), version=url.version, **result)
    return result


async def _names(url: S3Url, deadline: float) -> _Result:
    version = {"Version": url.version} if url.version else {}
    image = {"S3Object": {"Bucket": url.bucket, "Name": url.key, **version}}
    request = Request(_account().calls, deadline)
    try:
        response: Any = await request.ask("RecognizeCelebrities", "CelebrityFaces", Image=image)
    except InvalidImage as exc:
        return {"names": [], "error": exc.message}
    candidates = (candidate for face in results.faces(response) for candidate in face.candidates)
    names = [{"name": one.display_name, "confidence": round(100 * one.score, 2)} for one in candidates]
    return {"names": names, "cost_micro_usd": request.usage.micro_usd}


def _write(url: S3Url, result: _Result) -> None:
    """Write the result to the table, if there is one, over an earlier one. Raises Misconfigured, DependencyUnavailable.

    One item a version of an object: `object` is its URL, `version` S3's, or "null" as S3 calls the only one.
    """
    table = _settings().rekognition_results_table
    if not table:
        return
    item: dict[str, Any] = {
        "object": {"S": str(url)},
        "version": {"S": url.version or "null"},
        "names": {"L": [_name(one) for one in result["names"]]},
        "recognized": {"S": datetime.now(UTC).isoformat(timespec="seconds")},
    }
    if "error" in result:
        item["error"] = {"S": result["error"]}
    with explained(table, "the results", "object and version", "MARQUEE_REKOGNITION_RESULTS_TABLE"):
        _dynamodb().put_item(TableName=table, Item=item)


def _name(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"M": {"name": {"S": entry["name"]}, "confidence": {"N": str(entry["confidence"])}}}


def _failures(objects: Sequence[S3Url], outcomes: Sequence[_Outcome]) -> list[str]:
    messages = (one.message if isinstance(one, DomainError) else one.get("error") for one in outcomes)
    return [f"{one}: {message}" for one, message in zip(objects, messages, strict=True) if message]


@cache
def _settings() -> LambdaSettings:
    settings = LambdaSettings()
    logs.configure(settings)
    return settings


@cache
def _account() -> Account:
    """Return the account; each Lambda environment keeps its own from one call of the function to the next."""
    return Account(_settings())


@cache
def _dynamodb() -> "DynamoDBClient":
    return connect(_settings())
