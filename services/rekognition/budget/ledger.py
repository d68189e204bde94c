"""Money: reserved before it is spent, never more than the day's cap."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.budget.prices import dollars
from services.rekognition.table.client import ConditionFailed, explained, query_prefix
from services.runtime.errors import BudgetExhausted, DomainError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = structlog.get_logger()
_CONTENT = "count of the money"


@dataclass(frozen=True)
class Reservation:
    """Money taken from one day's budget."""

    day: date
    micro_usd: int


class Ledger(Protocol):
    """Count of the money. Safe to share between threads; all methods but `spending` may block."""

    def reserve(self, micro_usd: int) -> Reservation:
        """Take the money from today's budget. Raises BudgetExhausted, and takes nothing, if too little is left."""

    def give_back(self, reservation: Reservation) -> None:
        """Return money that was surely not spent."""

    def refresh(self) -> None:
        """Read what others have spent."""

    def spending(self) -> pb.Spending:
        """Return what was spent today and this month, as last known, and the cap."""


def today_utc() -> date:
    """Return the day whose budget is spent."""
    return datetime.now(UTC).date()


def check(ledger: Ledger, micro_usd: int) -> None:
    """Raise BudgetExhausted if less is left today, as last known; it takes nothing, so `reserve` may still fail."""
    spending = ledger.spending()
    if spending.HasField("daily_cap_micro_usd") and (
        spending.today_micro_usd + micro_usd > spending.daily_cap_micro_usd
    ):
        raise _exhausted(spending.daily_cap_micro_usd)


class ProcessLedger:
    """The ledger of a replica that counts for itself, from its start on."""

    def __init__(self, cap: int | None, today: Callable[[], date] = today_utc) -> None:
        self._cap = cap
        self._today = today
        self._spent: Counter[date] = Counter()
        self._lock = threading.Lock()

    def reserve(self, micro_usd: int) -> Reservation:
        """See Ledger."""
        day = self._today()
        with self._lock:
            if self._cap is not None and self._spent[day] + micro_usd > self._cap:
                raise _exhausted(self._cap)
            self._spent[day] += micro_usd
        return Reservation(day, micro_usd)

    def give_back(self, reservation: Reservation) -> None:
        """See Ledger."""
        with self._lock:
            self._spent[reservation.day] -= reservation.micro_usd

    def refresh(self) -> None:
        """Drop earlier months; nobody else spends from this ledger."""
        first = self._today().replace(day=1)
        with self._lock:
            self._spent = Counter({day: spent for day, spent in self._spent.items() if day >= first})

    def spending(self) -> pb.Spending:
        """See Ledger."""
        day = self._today()
        with self._lock:
            month = sum(spent for on, spent in self._spent.items() if (on.year, on.month) == (day.year, day.month))
            return pb.Spending(today_micro_usd=self._spent[day], month_micro_usd=month, daily_cap_micro_usd=self._cap)


class TableLedger:
    """The ledger of all replicas together, in a DynamoDB table: no call is made unless the table has its money.

    One item a day: `pk` "spending", `sk` the date. A write whose outcome is unknown is never sent again, so the sum
    can only be too high.
    """

    def __init__(
        self, client: "DynamoDBClient", table: str, cap: int | None, today: Callable[[], date] = today_utc
    ) -> None:
        self._client = client
        self._table = table
        self._cap = cap
        self._today = today
        self._days: dict[str, int] = {}

    def reserve(self, micro_usd: int) -> Reservation:
        """See Ledger. Raises DependencyUnavailable if the table does not respond."""
        day = self._today()
        if self._cap is None:
            self._add(day, micro_usd, {}, {})
        elif micro_usd > self._cap or not self._add_within(day, micro_usd, self._cap):
            raise _exhausted(self._cap)
        return Reservation(day, micro_usd)

    def give_back(self, reservation: Reservation) -> None:
        """See Ledger; if the table does not respond, the money stays spent."""
        try:
            self._add(reservation.day, -reservation.micro_usd, {}, {})
        except DomainError as exc:
            logger.warning("money not given back", micro_usd=reservation.micro_usd, error=exc.message)

    def refresh(self) -> None:
        """Read the month. Raises Misconfigured if there is no such table, and DependencyUnavailable."""
        month = self._today().isoformat()[: len("2026-11")]
        with explained(self._table, _CONTENT):
            items = query_prefix(self._client, self._table, {"S": "spending"}, month)
        self._days = {item["sk"]["S"]: int(item["micro_usd"]["N"]) for item in items}

    def spending(self) -> pb.Spending:
        """See Ledger."""
        day = self._today().isoformat()
        month = sum(spent for on, spent in dict(self._days).items() if on[:7] == day[:7])
        return pb.Spending(today_micro_usd=self._days.get(day, 0), month_micro_usd=month, daily_cap_micro_usd=self._cap)

    def _add_within(self, day: date, micro_usd: int, cap: int) -> bool:
        """Add to the day's sum unless that would pass the cap; return whether it did."""
        condition = {"ConditionExpression": "attribute_not_exists(micro_usd) OR micro_usd <= :room"}
        try:
            self._add(day, micro_usd, condition, {":room": {"N": str(cap - micro_usd)}})
        except ConditionFailed:
            return False
        return True

    def _add(self, day: date, micro_usd: int, condition: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        with explained(self._table, _CONTENT):
            response = self._client.update_item(
                TableName=self._table,
                Key={"pk": {"S": "spending"}, "sk": {"S": day.isoformat()}},
                UpdateExpression="ADD micro_usd :amount",
                ExpressionAttributeValues={":amount": {"N": str(micro_usd)}, **values},
                ReturnValues="UPDATED_NEW",
                **condition,
            )
        self._days[day.isoformat()] = int(response["Attributes"]["micro_usd"]["N"])


def _exhausted(cap: int) -> BudgetExhausted:
    """Return the refusal that holds until midnight UTC."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    return BudgetExhausted(
        f"Too little is left of today's {dollars(cap)} for Rekognition to pay for this call. The budget renews at "
        "midnight UTC; an operator can raise MARQUEE_REKOGNITION_DAILY_CAP_USD.",
        retry_after=(midnight - now).total_seconds(),
    )
