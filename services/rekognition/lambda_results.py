"""The table that gets what the Lambda function has recognized."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.rekognition.lambda_events import ObjectAsked
from services.rekognition.table.client import explained

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ResultsTable:
    """One item a version of an object: `object` is its URL, `version` S3's, or "null" as S3 calls the only one."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def write(self, asked: ObjectAsked, result: Mapping[str, Any]) -> None:
        """Takes an earlier result's place. Blocks; raises Misconfigured, DependencyUnavailable."""
        item: dict[str, Any] = {
            "object": {"S": asked.url},
            "version": {"S": asked.version or "null"},
            "names": {"L": [_name(one) for one in result["names"]]},
            "recognized": {"S": datetime.now(UTC).isoformat(timespec="seconds")},
        }
        if "error" in result:
            item["error"] = {"S": result["error"]}
        with explained(self._table, "the results", "object and version", "MARQUEE_REKOGNITION_RESULTS_TABLE"):
            self._client.put_item(TableName=self._table, Item=item)


def _name(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"M": {"name": {"S": found["name"]}, "confidence": {"N": str(found["confidence"])}}}
