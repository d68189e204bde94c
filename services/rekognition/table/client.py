"""Access to DynamoDB tables, and the errors raised if one cannot be used."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.config import Config
from botocore.exceptions import IncompleteReadError
from botocore.parsers import ResponseParserError
from tenacity import Retrying, retry_if_exception, stop_before_delay, wait_random_exponential

from services.rekognition.aws.session import open_client
from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import (
    CredentialsRefused,
    DependencyUnavailable,
    InvalidRequest,
    Misconfigured,
    NotPermitted,
)
from services.runtime.storage.failures import (
    CLOCK_ADVICE,
    CREDENTIALS_ADVICE,
    ERRORS,
    TRANSIENT,
    Kind,
    code_of,
    kind_of,
    retry_after,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item: TypeAlias = dict[str, Any]
_MAX_WRITES = 25
"""Limit of BatchWriteItem."""
_WAIT = wait_random_exponential(multiplier=0.05, max=1)
_NO_TABLE = ("ResourceNotFoundException", "ValidationException")
_TOO_LARGE = "Item size"
"""Part of the texts of the other ValidationException that the code can meet."""
_LASTING: Mapping[Kind, tuple[type[Misconfigured], str]] = {
    Kind.CREDENTIALS: (CredentialsRefused, CREDENTIALS_ADVICE),
    Kind.CLOCK: (CredentialsRefused, CLOCK_ADVICE),
    Kind.FORBIDDEN: (NotPermitted, "An operator has to allow it in the IAM policy of the server's AWS identity."),
}


class ConditionFailed(Exception):
    """The write's own condition forbids it; nothing was written."""


def connect(settings: RekognitionSettings) -> "DynamoDBClient":
    """Return a client for Rekognition's region, safe to share between threads. Raises what `open_client` raises.

    It sends a request once and gives up soon.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=2,
        max_pool_connections=settings.rekognition_calls,
        retries={"total_max_attempts": 1},  # adding a second time would count money twice
    )
    client: DynamoDBClient = open_client(settings, "dynamodb", settings.dynamodb_endpoint_url, config)
    client.meta.events.register("before-parse.dynamodb", _check_response)
    return client


def query(client: "DynamoDBClient", table: str, **parameters: Any) -> list[Item]:
    """Return all items, from as many pages as it takes."""
    return list(query_each(client, table, **parameters))


def query_prefix(client: "DynamoDBClient", table: str, pk: Item, prefix: str, **parameters: Any) -> list[Item]:
    """Return all items of the partition whose sort keys begin with the prefix; DynamoDB takes no empty one."""
    condition, values = "pk = :pk", {":pk": pk}
    if prefix:
        condition, values = f"{condition} AND begins_with(sk, :prefix)", values | {":prefix": {"S": prefix}}
    return query(client, table, KeyConditionExpression=condition, ExpressionAttributeValues=values, **parameters)


def query_each(client: "DynamoDBClient", table: str, **parameters: Any) -> Iterator[Item]:
    """Yield all items, page by page."""
    pages = client.get_paginator("query").paginate(TableName=table, **parameters)
    return (dict(item) for page in pages for item in page["Items"])


def read_batch(
    client: "DynamoDBClient", table: str, keys: Sequence[Item], attributes: str, seconds: float
) -> list[Item]:
    """Return those of the items, at most 100, that exist; whatever DynamoDB leaves out is asked for again.

    Raises DependencyUnavailable if some are still missing after so many seconds.
    """
    items: list[Item] = []
    request: Any = {table: {"Keys": keys, "ProjectionExpression": attributes}}
    for attempt in _attempts(seconds):
        with attempt:
            response = client.batch_get_item(RequestItems=request)
            items += response["Responses"].get(table, [])
            request = response.get("UnprocessedKeys", {})
            _check_processed(table, request)
    return items


def write_batch(client: "DynamoDBClient", table: str, requests: Sequence[Item], seconds: float) -> None:
    """Send PutRequests and DeleteRequests; whatever DynamoDB leaves out is sent again.

    Raises DependencyUnavailable if some are still not written after so many seconds.
    """
    for start in range(0, len(requests), _MAX_WRITES):
        request: Any = {table: requests[start : start + _MAX_WRITES]}
        for attempt in _attempts(seconds):
            with attempt:
                request = client.batch_write_item(RequestItems=request).get("UnprocessedItems", {})
                _check_processed(table, request)


def _attempts(seconds: float) -> Retrying:
    """Return attempts at a request that is safe to repeat."""
    return Retrying(
        retry=retry_if_exception(lambda exc: isinstance(exc, DependencyUnavailable) or kind_of(exc) in TRANSIENT),
        wait=_WAIT,
        stop=stop_before_delay(seconds),
        reraise=True,
    )


def _check_processed(table: str, left: Any) -> None:
    if left:
        raise DependencyUnavailable(
            f"The table {table!r} has no throughput left for this. Try again later.", retry_after=1
        )


def _check_response(response_dict: Mapping[str, Any], **_: Any) -> None:
    """Refuse what botocore takes for an empty response, and so for no item: a body cut short, or no JSON at all."""
    body = response_dict["body"]
    length = int(response_dict["headers"].get("content-length", len(body)))
    if length != len(body):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=length)
    if response_dict["status_code"] == HTTPStatus.OK and not body.startswith(b"{"):
        raise ResponseParserError("not the JSON that DynamoDB answers with")


@contextmanager
def explained(
    table: str, content: str, keys: str = "pk and sk", setting: str = "MARQUEE_REKOGNITION_TABLE"
) -> Iterator[None]:
    """Raise ConditionFailed, DependencyUnavailable for what passes by itself, and Misconfigured for all else."""
    try:
        yield
    except ERRORS as exc:
        code, kind = code_of(exc), kind_of(exc)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed from exc
        failed = f"The table {table!r}, which keeps {content}, cannot be used: {code}."
        if kind in TRANSIENT:
            raise DependencyUnavailable(failed, retry_after=retry_after(exc)) from exc
        if _TOO_LARGE in str(exc):
            raise InvalidRequest("DynamoDB keeps 400 KB in an item: at most about 5,000 pictures of a person.") from exc
        if code in _NO_TABLE:
            raise Misconfigured(
                f"DynamoDB has no table {table!r} with the string keys {keys}. Create it, or set another {setting}."
            ) from exc
        error, advice = _LASTING.get(kind, (Misconfigured, ""))
        raise error(f"{failed} {advice}".rstrip()) from exc
