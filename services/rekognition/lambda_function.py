"""Names the people in objects of S3, as an AWS Lambda function: `services.rekognition.lambda_function.lambda_handler`.

Pictures go to Rekognition by reference and are never fetched, so the function needs neither Pillow nor NumPy:
JPEG and PNG of at most 15 MB, in Rekognition's region. Cap, prices, rates and attempts are the recognizer's.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from services.rekognition import results
from services.rekognition.aws.account import Account
from services.rekognition.lambda_events import ObjectAsked, is_direct, is_queued, messages_of, objects_of
from services.rekognition.request import Request
from services.rekognition.settings import LambdaSettings
from services.rekognition.table.client import connect, explained
from services.runtime import logs
from services.runtime.errors import DomainError, InvalidImage

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
    if is_queued(event):
        return asyncio.run(_recognize_messages(event, deadline))
    objects = objects_of(event)
    outcomes = asyncio.run(_recognize_all(objects, deadline))
    recognized = [one for one in outcomes if not isinstance(one, DomainError)]
    if len(recognized) < len(outcomes) or (is_direct(event) and "error" in recognized[0]):
        raise RecognitionFailed(" ".join(_failures(objects, outcomes)))
    return recognized[0] if is_direct(event) else {"results": recognized}


async def _recognize_messages(event: Mapping[str, Any], deadline: float) -> _Result:
    """Return the failed messages, so that SQS sends them again, or to its dead-letter queue."""
    failures, objects = [], list[ObjectAsked]()
    for message_id, message in messages_of(event).items():
        try:
            objects += objects_of(message, message_id)
        except (ValueError, KeyError, TypeError) as exc:
            logger.warning("message not understood", message_id=message_id, error=str(exc))
            failures.append(message_id)
    outcomes = await _recognize_all(objects, deadline)
    failures += [one.message_id for one, how in zip(objects, outcomes, strict=True) if isinstance(how, DomainError)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in dict.fromkeys(failures)]}


async def _recognize_all(objects: Sequence[ObjectAsked], deadline: float) -> list[_Outcome]:
    await asyncio.to_thread(_account().step)
    return list(await asyncio.gather(*(_recognize(one, deadline) for one in objects)))


async def _recognize(s3_object: ObjectAsked, deadline: float) -> _Outcome:
    result: _Result = {"bucket": s3_object.bucket, "object_name": s3_object.key}
    try:
        result |= await _names(s3_object, deadline)
        await asyncio.to_thread(_write, s3_object, result)
    except DomainError as exc:
        logger.warning("not recognized", object=s3_object.url, version=s3_object.version, error=exc.message)
        return exc
    logger.info("recognized", object=s3_object.url, version=s3_object.version, **result)
    return result


async def _names(s3_object: ObjectAsked, deadline: float) -> _Result:
    version = {"Version": s3_object.version} if s3_object.version else {}
    image = {"S3Object": {"Bucket": s3_object.bucket, "Name": s3_object.key, **version}}
    request = Request(_account().calls, deadline)
    try:
        response: Any = await request.ask("RecognizeCelebrities", "CelebrityFaces", Image=image)
    except InvalidImage as exc:
        return {"names": [], "error": exc.message}
    candidates = (candidate for face in results.faces(response) for candidate in face.candidates)
    names = [{"name": one.display_name, "confidence": round(100 * one.score, 2)} for one in candidates]
    return {"names": names, "cost_micro_usd": request.usage.micro_usd}


def _write(s3_object: ObjectAsked, result: _Result) -> None:
    """Write the result to the table, if there is one, over an earlier one. Raises Misconfigured, DependencyUnavailable.

    One item a version of an object: `object` is its URL, `version` S3's, or "null" as S3 calls the only one.
    """
    table = _settings().rekognition_results_table
    if not table:
        return
    item: dict[str, Any] = {
        "object": {"S": s3_object.url},
        "version": {"S": s3_object.version or "null"},
        "names": {"L": [_name(one) for one in result["names"]]},
        "recognized": {"S": datetime.now(UTC).isoformat(timespec="seconds")},
    }
    if "error" in result:
        item["error"] = {"S": result["error"]}
    with explained(table, "the results", "object and version", "MARQUEE_REKOGNITION_RESULTS_TABLE"):
        _dynamodb().put_item(TableName=table, Item=item)


def _name(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"M": {"name": {"S": entry["name"]}, "confidence": {"N": str(entry["confidence"])}}}


def _failures(objects: Sequence[ObjectAsked], outcomes: Sequence[_Outcome]) -> list[str]:
    messages = (one.message if isinstance(one, DomainError) else one.get("error") for one in outcomes)
    return [f"{one.url}: {message}" for one, message in zip(objects, messages, strict=True) if message]


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
