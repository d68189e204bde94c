"""Name the people in objects of S3, as an AWS Lambda function: `services.rekognition.lambda_function.lambda_handler`.

Pictures go to Rekognition by reference and are never fetched, so the function needs neither Pillow nor NumPy:
JPEG and PNG of at most 15 MB, in Rekognition's region. Cap, prices, rates and attempts are the recognizer's.

Events come from a caller ({"bucket", "object_name"}, and "version" if need be), from S3, EventBridge or SNS, from SQS,
whose messages contain one of the others, and from S3 Batch Operations.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

from services.rekognition import results
from services.rekognition.aws.account import Account
from services.rekognition.request import Request
from services.rekognition.settings import LambdaSettings
from services.rekognition.sources import batch, queue
from services.rekognition.table.client import connect, explained
from services.runtime import logs
from services.runtime.errors import BudgetExhausted, DomainError, InvalidImage, InvalidRequest, ObjectForbidden
from services.runtime.storage.events import created_objects
from services.runtime.storage.s3 import S3Url

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = structlog.get_logger()
_RESPONSE_SECONDS = 1.0
"""Kept back of the function's time, to write and return what was paid for."""
_MAX_SENDER = 200
_DIRECT = 'To name one object, send {"bucket": "BUCKET", "object_name": "KEY"}, and "version" if you mean an old one.'
_Result: TypeAlias = dict[str, Any]
_Outcome: TypeAlias = _Result | DomainError


class RecognitionFailed(Exception):
    """Some objects, which the message names, could not be recognized now. Lambda and its sources try again."""


def lambda_handler(event: Any, context: Any) -> _Result:
    """Recognize all objects of the event.

    Returns {"bucket", "object_name", "names": [{"name", "confidence"}], "cost_micro_usd"} for a direct call,
    {"results": [...]} for S3, EventBridge and SNS, {"batchItemFailures": [...]} for SQS and the results of tasks for
    S3 Batch Operations; confidence is 0 to 100. Raises RecognitionFailed for what may succeed later; a picture that
    can never be read is a result with an `error` instead, unless the call is direct. Raises ValueError for an event
    of no known form.
    """
    _settings()  # sets up the log, too
    clear_contextvars()
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _RESPONSE_SECONDS
    if isinstance(event, list):  # EventBridge Pipes sends the messages of SQS without a frame
        event = {"Records": event}
    bind_contextvars(request_id=getattr(context, "aws_request_id", None), caller=_sender_of(event))
    if queue.is_queued(event):
        return asyncio.run(_recognize_messages(queue.messages(event), deadline))
    if batch.is_job(event):
        return batch.response(event, asyncio.run(_recognize_all(batch.objects(event), deadline)))
    return _respond(event, deadline)


def objects_of(event: Any) -> list[S3Url]:
    """Return the objects that an event asks for or reports as created. Raises ValueError."""
    if _is_direct(event):
        return [S3Url(_text(event, "bucket"), _text(event, "object_name"), _text(event, "version", required=False))]
    try:
        return created_objects(event)
    except ValueError as exc:
        raise ValueError(f"{exc} {_DIRECT}") from None


def _sender_of(event: Any) -> str | None:
    """Return the ARN of the queue, topic or bucket that sent the event, or the ID of its job, for the log.

    None: a caller sent it, whom AWS names in CloudTrail alone.
    """
    try:
        if batch.is_job(event):
            name = event["job"]["id"]
        elif "Records" in event:
            record = event["Records"][0]
            name = record.get("eventSourceARN") or record.get("EventSubscriptionArn") or record["s3"]["bucket"]["arn"]
        else:
            name = event["resources"][0]
    except (AttributeError, IndexError, KeyError, TypeError):
        return None
    return name[:_MAX_SENDER] if isinstance(name, str) else None


def _respond(event: Any, deadline: float) -> _Result:
    """Respond to a caller, or to S3, EventBridge or SNS."""
    objects = objects_of(event)
    outcomes = asyncio.run(_recognize_all(objects, deadline))
    recognized = [one for one in outcomes if not isinstance(one, DomainError)]
    if len(recognized) < len(outcomes) or (_is_direct(event) and "error" in recognized[0]):
        raise RecognitionFailed(" ".join(_failures(objects, outcomes)))
    return recognized[0] if _is_direct(event) else {"results": recognized}


def _is_direct(event: Any) -> bool:
    """Return whether a caller asks for one object and waits for the response."""
    return isinstance(event, Mapping) and ("bucket" in event or "object_name" in event)


def _text(event: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    value = event.get(name)
    value = "" if value is None else value
    if not isinstance(value, str) or (required and not value):
        raise ValueError(f'"{name}" must be a string. {_DIRECT}')
    return value


async def _recognize_messages(messages: Sequence[queue.Message], deadline: float) -> _Result:
    """Return the failed messages, which stay in the queue; those beyond today's budget come back when it renews."""
    failed, owners, objects = [], list[queue.Message](), list[S3Url]()
    for message in messages:
        try:
            contents = objects_of(_json(message.body))
        except ValueError as exc:
            logger.warning("message not understood", message_id=message.id, error=str(exc))
            failed.append(message)
        else:
            objects += contents
            owners += [message] * len(contents)
    outcomes = list(zip(owners, await _recognize_all(objects, deadline), strict=True))
    await asyncio.to_thread(_put_off, outcomes)
    return queue.failures([*failed, *(owner for owner, one in outcomes if isinstance(one, DomainError))])


def _put_off(outcomes: Sequence[tuple[queue.Message, _Outcome]]) -> None:
    """Hide the messages that today's budget does not pay for; otherwise they use up their receipts in vain."""
    late = [(owner, one.retry_after or 0) for owner, one in outcomes if isinstance(one, BudgetExhausted)]
    if late:
        messages = list(dict.fromkeys(owner for owner, _ in late))
        seconds = max(seconds for _, seconds in late)
        logger.warning("budget spent, messages put off", messages=len(messages), seconds=round(seconds))
        queue.hide(messages, seconds)


def _json(body: str) -> Any:
    """Return the message's JSON; None, which is no event, if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


async def _recognize_all(objects: Sequence[S3Url], deadline: float) -> list[_Outcome]:
    if not objects:
        logger.info("nothing to recognize")
        return []
    await asyncio.to_thread(_account().refresh)
    return list(await asyncio.gather(*(_recognize(one, deadline) for one in objects)))


async def _recognize(url: S3Url, deadline: float) -> _Outcome:
    result: _Result = {"bucket": url.bucket, "object_name": url.key}
    if url.version:
        result["version"] = url.version
    try:
        result |= await _names(url, deadline)
        await asyncio.to_thread(_write, url, result)
    except DomainError as exc:
        logger.warning("not recognized", object=str(url), version=url.version, error=exc.message)
        return exc
    if "error" in result:
        logger.warning("not recognized, and not tried again", **result)
    else:
        logger.info("recognized", object=str(url), **result)
    return result


async def _names(url: S3Url, deadline: float) -> _Result:
    """Return the names and what they cost, or the `error` of an object that can never be recognized."""
    version = {"Version": url.version} if url.version else {}
    image = {"S3Object": {"Bucket": url.bucket, "Name": url.key, **version}}
    request = Request(_account().calls, deadline)
    try:
        response: Any = await request.ask("RecognizeCelebrities", "CelebrityFaces", Image=image)
    except ObjectForbidden:
        return {"names": [], "error": _unreadable(url, _account().calls.region)}
    except (InvalidImage, InvalidRequest) as exc:
        return {"names": [], "error": exc.message}
    candidates = (candidate for face in results.faces(response) for candidate in face.candidates)
    names = [{"name": one.display_name, "confidence": round(100 * one.score, 2)} for one in candidates]
    return {"names": names, "cost_micro_usd": request.usage.micro_usd}


def _unreadable(url: S3Url, region: str) -> str:
    """Return what to check; AWS does not say which of these it is."""
    version, action = (f" (version {url.version})", "s3:GetObjectVersion") if url.version else ("", "s3:GetObject")
    return (
        f"Rekognition in {region} cannot read {url}{version}. Check that the object exists, that its bucket is in "
        f"{region}, too, and that the function's role has {action} for it (and kms:Decrypt, if a key encrypts it)."
    )


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
    account = Account(_settings())
    account.announce(_settings())
    return account


@cache
def _dynamodb() -> "DynamoDBClient":
    return connect(_settings())
