"""Access to DynamoDB tables, and the errors raised if one cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.rekognition.aws.errors import code_of
from services.rekognition.aws.session import open_session
from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import DependencyUnavailable, Misconfigured

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ConditionFailed(Exception):
    """The write's own condition forbids it; nothing was written."""


def connect(settings: RekognitionSettings) -> "DynamoDBClient":
    """Return a client for Rekognition's region, safe to share between threads. Raises Misconfigured.

    It sends a request once and gives up soon.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=2,
        max_pool_connections=settings.rekognition_calls,
        retries={"total_max_attempts": 1},  # adding a second time would count money twice
    )
    try:
        return open_session(settings).client("dynamodb", endpoint_url=settings.dynamodb_endpoint_url, config=config)
    except BotoCoreError as exc:
        raise Misconfigured(f"The AWS configuration cannot be used: {exc}") from exc


def query(client: "DynamoDBClient", table: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return all items, from as many pages as it takes."""
    pages = client.get_paginator("query").paginate(TableName=table, **parameters)
    return [dict(item) for page in pages for item in page["Items"]]


@contextmanager
def explained(
    table: str, content: str, keys: str = "pk and sk", setting: str = "MARQUEE_REKOGNITION_TABLE"
) -> Iterator[None]:
    """Raise ConditionFailed, Misconfigured if there is no such table, and DependencyUnavailable otherwise."""
    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        code = code_of(exc)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed from exc
        if code in ("ResourceNotFoundException", "ValidationException"):
            raise Misconfigured(
                f"DynamoDB has no table {table!r} with the string keys {keys}. Create it, or set another {setting}."
            ) from exc
        raise DependencyUnavailable(f"The table {table!r}, which keeps {content}, cannot be used: {code}.") from exc
