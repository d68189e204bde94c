"""S3 Batch Operations as a source of the Lambda function: a job's tasks in, a result for each out.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html: schema 1.0 names the bucket by
its ARN, 2.0 by its name; keys are URL-encoded, a space as "+".
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from services.runtime.errors import DomainError, Misconfigured
from services.runtime.storage.s3 import S3Url


def is_job(event: Any) -> bool:
    """Return whether the event has tasks of a job."""
    return isinstance(event, Mapping) and "invocationSchemaVersion" in event


def objects(event: Mapping[str, Any]) -> list[S3Url]:
    """Return the tasks' objects. Raises ValueError if the tasks are of neither schema."""
    try:
        return [_object(task) for task in event["tasks"]]
    except (AttributeError, KeyError, TypeError) as exc:
        raise ValueError(f"The job is neither of schema 1.0 nor of 2.0 of S3 Batch Operations: {exc!r}.") from None


def response(event: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any] | DomainError]) -> dict[str, Any]:
    """Return the response to S3: the names that each task found, or why it failed and whether it may be repeated."""
    return {
        "invocationSchemaVersion": event["invocationSchemaVersion"],
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": event.get("invocationId", ""),
        "results": [
            {"taskId": task.get("taskId", ""), "resultCode": code, "resultString": text}
            for task, (code, text) in zip(event["tasks"], map(_result, outcomes), strict=True)
        ],
    }


def _object(task: Mapping[str, Any]) -> S3Url:
    bucket = task.get("s3Bucket") or task["s3BucketArn"].rpartition(":")[2]
    return S3Url(bucket, unquote_plus(task["s3Key"]), task.get("s3VersionId") or "")


def _result(outcome: Mapping[str, Any] | DomainError) -> tuple[str, str]:
    """Return the code and the string of a task's result."""
    if isinstance(outcome, DomainError):
        return "PermanentFailure" if isinstance(outcome, Misconfigured) else "TemporaryFailure", outcome.message
    if "error" in outcome:
        return "PermanentFailure", outcome["error"]
    return "Succeeded", json.dumps([one["name"] for one in outcome["names"]])
