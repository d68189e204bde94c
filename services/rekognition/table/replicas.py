"""What replicas share through a DynamoDB table: the money spent, and how many they are.

One item a day (`pk` "spending", `sk` the date) and one a replica (`pk` "replica"). A write that may
or may not have come through is never sent again: it can only make the sum too high.
"""

import time
import uuid
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.budget.ledger import Reservation, exhausted, today_utc
from services.rekognition.table.client import ConditionFailed, explained, query
from services.runtime.errors import DependencyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = structlog.get_logger()
_KEEPS = "count of the money"
_ALIVE_SECONDS = 30


class TableLedger:
    """The ledger of all replicas together. A call is paid for only where the table says so."""

    def __init__(
        self, client: "DynamoDBClient", table: str, cap: int | None, today: Callable[[], date] = today_utc
    ) -> None:
        self._client = client
        self._table = table
        self._cap = cap
        self._today = today
        self._days: dict[str, int] = {}

    def reserve(self, micro_usd: int) -> Reservation:
        """See Ledger. Raises DependencyUnavailable where the table does not answer."""
        day = self._today()
        if self._cap is None:
            self._add(day, micro_usd, {})
        elif micro_usd > self._cap or not self._add(day, micro_usd, _at_most(self._cap - micro_usd)):
            raise exhausted(self._cap)
        return Reservation(day, micro_usd)

    def give_back(self, reservation: Reservation) -> None:
        """See Ledger; where the table does not answer, the money stays spent."""
        try:
            self._add(reservation.day, -reservation.micro_usd, {})
        except DependencyUnavailable as exc:
            logger.warning("money not given back", micro_usd=reservation.micro_usd, error=exc.message)

    def refresh(self) -> None:
        """Reads the month. Raises Misconfigured where there is no such table, and DependencyUnavailable."""
        month = self._today().isoformat()[: len("2026-11")]
        with explained(self._table, _KEEPS):
            items = query(
                self._client,
                self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :month)",
                ExpressionAttributeValues={":pk": {"S": "spending"}, ":month": {"S": month}},
            )
        self._days = {item["sk"]["S"]: int(item["micro_usd"]["N"]) for item in items}

    def spending(self) -> pb.Spending:
        """See Ledger."""
        day = self._today().isoformat()
        month = sum(spent for on, spent in dict(self._days).items() if on[:7] == day[:7])
        return pb.Spending(today_micro_usd=self._days.get(day, 0), month_micro_usd=month, daily_cap_micro_usd=self._cap)

    def _add(self, day: date, micro_usd: int, condition: dict[str, Any]) -> bool:
        """Adds to the day's sum unless the condition forbids it; returns whether it did."""
        values = condition.pop("ExpressionAttributeValues", {})
        try:
            with explained(self._table, _KEEPS):
                answer = self._client.update_item(
                    TableName=self._table,
                    Key={"pk": {"S": "spending"}, "sk": {"S": day.isoformat()}},
                    UpdateExpression="ADD micro_usd :amount",
                    ExpressionAttributeValues={":amount": {"N": str(micro_usd)}, **values},
                    ReturnValues="UPDATED_NEW",
                    **condition,
                )
        except ConditionFailed:
            return False
        self._days[day.isoformat()] = int(answer["Attributes"]["micro_usd"]["N"])
        return True


class Replicas:
    """Counts the replicas that live, this one among them."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._key = {"pk": {"S": "replica"}, "sk": {"S": uuid.uuid4().hex}}

    def beat(self) -> int:
        """Says that this one lives; returns how many do. Blocks, and raises as TableLedger.refresh."""
        now = int(time.time())
        with explained(self._table, _KEEPS):
            self._client.put_item(TableName=self._table, Item=self._key | {"expires": {"N": str(now + _ALIVE_SECONDS)}})
            living = query(
                self._client,
                self._table,
                KeyConditionExpression="pk = :pk",
                FilterExpression="expires > :now",
                ExpressionAttributeValues={":pk": {"S": "replica"}, ":now": {"N": str(now)}},
                ConsistentRead=True,
            )
        return max(1, len(living))

    def leave(self) -> None:
        """Says that this one is gone, so that the others get its share at once. Blocks."""
        with explained(self._table, _KEEPS):
            self._client.delete_item(TableName=self._table, Key=self._key)


def _at_most(room: int) -> dict[str, Any]:
    return {
        "ConditionExpression": "attribute_not_exists(micro_usd) OR micro_usd <= :room",
        "ExpressionAttributeValues": {":room": {"N": str(room)}},
    }
