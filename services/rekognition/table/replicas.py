"""The replicas that share a table: `pk` "replica", an item for each."""

import time
import uuid
from typing import TYPE_CHECKING

from services.rekognition.table.client import explained, query

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONTENT = "count of the replicas"
_ALIVE_SECONDS = 30


class Replicas:
    """The live replicas, this one among them."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._key = {"pk": {"S": "replica"}, "sk": {"S": uuid.uuid4().hex}}

    def beat(self) -> int:
        """Report this replica alive; return how many are. Blocks, and raises Misconfigured, DependencyUnavailable."""
        now = int(time.time())
        with explained(self._table, _CONTENT):
            self._client.put_item(TableName=self._table, Item=self._key | {"expires": {"N": str(now + _ALIVE_SECONDS)}})
            items = query(
                self._client,
                self._table,
                KeyConditionExpression="pk = :pk",
                FilterExpression="expires > :now",
                ExpressionAttributeValues={":pk": {"S": "replica"}, ":now": {"N": str(now)}},
                ConsistentRead=True,
            )
        return max(1, len(items))

    def leave(self) -> None:
        """Remove this replica, so that the others get its share at once. Blocks."""
        with explained(self._table, _CONTENT):
            self._client.delete_item(TableName=self._table, Key=self._key)
