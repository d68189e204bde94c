"""How the table is asked, and what is told where it does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from services.rekognition.aws.errors import code_of
from services.runtime.errors import DependencyUnavailable, Misconfigured

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ConditionFailed(Exception):
    """The write's own condition forbids it; nothing was written."""


def query(client: "DynamoDBClient", table: str, **how: Any) -> list[dict[str, Any]]:
    """All items, of as many pages as it takes."""
    pages = client.get_paginator("query").paginate(TableName=table, **how)
    return [dict(item) for page in pages for item in page["Items"]]


@contextmanager
def explained(
    table: str, keeps: str, keys: str = "pk and sk", setting: str = "MARQUEE_REKOGNITION_TABLE"
) -> Iterator[None]:
    """Raises ConditionFailed, Misconfigured where there is no such table, else DependencyUnavailable."""
    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        code = code_of(exc)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed from exc
        if code in ("ResourceNotFoundException", "ValidationException"):
            raise Misconfigured(
                f"DynamoDB has no table {table!r} with the string keys {keys}. Make it, or set another {setting}."
            ) from exc
        raise DependencyUnavailable(f"The table {table!r}, which keeps {keeps}, cannot be used: {code}.") from exc
