"""Tells who is in objects of S3, as a function of AWS Lambda: `services.rekognition.lambda_function.lambda_handler`.

Pictures go to Rekognition by reference and are never fetched, so the function needs neither Pillow nor NumPy:
JPEG and PNG of at most 15 MB, in Rekognition's region. Cap, prices, rates and attempts are the recognizer's.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import structlog

from services.rekognition import results as answers
from services.rekognition.asking import Asking
from services.rekognition.aws.account import Account
from services.rekognition.aws.client import connect_table
from services.rekognition.lambda_events import ObjectAsked, is_direct, is_queued, messages_of, objects_of
from services.rekognition.lambda_results import ResultsTable
from services.rekognition.settings import LambdaSettings
from services.runtime import logs
from services.runtime.errors import DomainError, InvalidImage

logger = structlog.get_logger()
_ANSWER_SECONDS = 1.0
"""Kept back of the function's time: what was paid for is written and told."""
Result: TypeAlias = dict[str, Any]
Ended: TypeAlias = Result | DomainError


class RecognitionFailed(Exception):
    """Some objects could not be recognized now; the message names them. Lambda and its sources try again."""


def lambda_handler(event: Mapping[str, Any], context: Any) -> Result:
    """Recognizes all objects of the event.

    Returns {"bucket", "object_name", "names": [{"name", "confidence"}], "cost_micro_usd"} for a direct call,
    {"results": [...]} for S3 and EventBridge, {"batchItemFailures": [...]} for SQS; confidence is 0 to 100.
    Raises RecognitionFailed for what may succeed later; a picture that cannot ever be read is a result with an
    `error` instead, unless the call is direct.
    """
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _ANSWER_SECONDS
    if is_queued(event):
        return asyncio.run(_queued(event, deadline))
    asked = objects_of(event)
    ended = asyncio.run(_recognize_all(asked, deadline))
    failed = [one for one in ended if isinstance(one, DomainError)]
    results = [one for one in ended if not isinstance(one, DomainError)]
    if failed or (is_direct(event) and "error" in results[0]):
        raise RecognitionFailed(" ".join(_messages(asked, ended)))
    return results[0] if is_direct(event) else {"results": results}


async def _queued(event: Mapping[str, Any], deadline: float) -> Result:
    """Gives back the messages of which something failed, so that SQS sends them again, or to its dead-letter queue."""
    failed, asked = [], list[ObjectAsked]()
    for message_id, message in messages_of(event).items():
        try:
            asked += objects_of(message, message_id)
        except (ValueError, KeyError, TypeError) as exc:
            logger.warning("message not understood", message_id=message_id, error=str(exc))
            failed.append(message_id)
    ended = await _recognize_all(asked, deadline)
    failed += [one.message_id for one, how in zip(asked, ended, strict=True) if isinstance(how, DomainError)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in dict.fromkeys(failed)]}


async def _recognize_all(asked: Sequence[ObjectAsked], deadline: float) -> list[Ended]:
    await asyncio.to_thread(_account().step)
    return list(await asyncio.gather(*(_recognize(one, deadline) for one in asked)))


async def _recognize(asked: ObjectAsked, deadline: float) -> Ended:
    result: Result = {"bucket": asked.bucket, "object_name": asked.key}
    try:
        result |= await _names(asked, deadline)
    except InvalidImage as exc:
        result |= {"names": [], "error": exc.message}
    except DomainError as exc:
        return _logged(asked, exc)
    try:
        if _settings().rekognition_results_table:
            await asyncio.to_thread(_results().write, asked, result)
    except DomainError as exc:
        return _logged(asked, exc)
    logger.info("recognized", object=asked.url, version=asked.version, **result)
    return result


async def _names(asked: ObjectAsked, deadline: float) -> Result:
    version = {"Version": asked.version} if asked.version else {}
    image = {"S3Object": {"Bucket": asked.bucket, "Name": asked.key, **version}}
    asking = Asking(_account().calls, deadline)
    answer: Any = await asking.ask("RecognizeCelebrities", "CelebrityFaces", Image=image)
    found = (candidate for face in answers.faces(answer) for candidate in face.candidates)
    names = [{"name": one.display_name, "confidence": round(100 * one.score, 2)} for one in found]
    return {"names": names, "cost_micro_usd": asking.tab.micro_usd}


def _logged(asked: ObjectAsked, exc: DomainError) -> DomainError:
    logger.warning("not recognized", object=asked.url, version=asked.version, error=exc.message)
    return exc


def _messages(asked: Sequence[ObjectAsked], ended: Sequence[Ended]) -> list[str]:
    told = (how.message if isinstance(how, DomainError) else how.get("error") for how in ended)
    return [f"{one.url}: {message}" for one, message in zip(asked, told, strict=True) if message]


@cache
def _settings() -> LambdaSettings:
    settings = LambdaSettings()
    logs.configure(settings)
    return settings


@cache
def _account() -> Account:
    """Kept from one call of the function to the next; each environment of Lambda has its own."""
    return Account(_settings())


@cache
def _results() -> ResultsTable:
    return ResultsTable(connect_table(_settings()), _settings().rekognition_results_table)
