"""Money: reserved before it is spent, never more than the day's cap, nor than its caller may spend a day."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.budget.prices import dollars
from services.rekognition.table.client import ConditionFailed, explained, query_prefix
from services.runtime.doors.caller import current
from services.runtime.errors import BudgetExhausted, CallerBudgetExhausted, DomainError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = structlog.get_logger()
_CONTENT = "count of the money"
_Key: TypeAlias = tuple[str, str]
_DAYS, _CALLERS = "spending", "caller"
_EVERYBODY = ""
_KEPT = timedelta(days=3)
"""How long after its day's beginning the table keeps what a caller spent."""


@dataclass(frozen=True)
class Reservation:
    """Money taken from one day's budgets."""

    day: date
    micro_usd: int
    owners: Sequence[str]


class Ledger(Protocol):
    """Count of the money. Safe to share between threads; all methods but `check` and `spending` may block.

    Each call is paid from the budget of all callers together and, if its own caller has a limit, from that caller's.
    """

    def check(self, micro_usd: int) -> None:
        """Raise BudgetExhausted if less is left today, as last known; it takes nothing, so `reserve` may still fail."""

    def reserve(self, micro_usd: int) -> Reservation:
        """Take the money from today's budgets. Raises BudgetExhausted, and takes nothing, if too little is left."""

    def give_back(self, reservation: Reservation) -> None:
        """Return money that was surely not spent."""

    def refresh(self) -> None:
        """Read what others have spent."""

    def spending(self) -> pb.Spending:
        """Return what was spent today and this month, as last known, and the cap."""


def today_utc() -> date:
    """Return the day whose budget is spent."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class _Budget:
    """What may be spent a day: by the caller who owns it, or by everybody."""

    owner: str
    cap: int | None

    def check(self, spent: int) -> None:
        """Raise BudgetExhausted if that is too much."""
        if self.cap is not None and spent > self.cap:
            raise self.exhausted()

    def exhausted(self) -> BudgetExhausted:
        """Return the refusal that holds until midnight UTC."""
        now = datetime.now(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        error, amount = BudgetExhausted, dollars(self.cap or 0)
        money, setting = f"today's {amount}", "MARQUEE_REKOGNITION_DAILY_CAP_USD"
        if self.owner != _EVERYBODY:
            error, money = CallerBudgetExhausted, f"{self.owner}'s {amount} a day"
            setting = "usd= in the caller's line of MARQUEE_CALLERS"
        return error(
            f"Too little is left of {money} for Rekognition to pay for this call. The budget renews at midnight UTC; "
            f"an operator can raise {setting}.",
            retry_after=(midnight - now).total_seconds(),
        )


def _budgets(cap: int | None) -> list[_Budget]:
    """Return the budgets that pay for the current caller's calls: first its own, so that it takes nobody's place."""
    caller = current()
    own = [] if caller.daily_micro_usd is None else [_Budget(caller.name, caller.daily_micro_usd)]
    return [*own, _Budget(_EVERYBODY, cap)]


class ProcessLedger:
    """The ledger of a replica that counts for itself, from its start on."""

    def __init__(self, cap: int | None, today: Callable[[], date] = today_utc) -> None:
        self._cap = cap
        self._today = today
        self._spent: Counter[tuple[date, str]] = Counter()
        self._lock = threading.Lock()

    def check(self, micro_usd: int) -> None:
        """See Ledger."""
        self._check(self._today(), _budgets(self._cap), micro_usd)

    def reserve(self, micro_usd: int) -> Reservation:
        """See Ledger."""
        day, budgets = self._today(), _budgets(self._cap)
        reservation = Reservation(day, micro_usd, [one.owner for one in budgets])
        with self._lock:
            self._check(day, budgets, micro_usd)
            self._add(reservation, micro_usd)
        return reservation

    def give_back(self, reservation: Reservation) -> None:
        """See Ledger."""
        with self._lock:
            self._add(reservation, -reservation.micro_usd)

    def refresh(self) -> None:
        """Drop earlier months; nobody else spends from this ledger."""
        first = self._today().replace(day=1)
        with self._lock:
            self._spent = Counter({key: spent for key, spent in self._spent.items() if key[0] >= first})

    def spending(self) -> pb.Spending:
        """See Ledger."""
        day = self._today()
        with self._lock:
            days = {on: spent for (on, owner), spent in self._spent.items() if owner == _EVERYBODY}
        month = sum(spent for on, spent in days.items() if (on.year, on.month) == (day.year, day.month))
        return pb.Spending(today_micro_usd=days.get(day, 0), month_micro_usd=month, daily_cap_micro_usd=self._cap)

    def _check(self, day: date, budgets: Sequence[_Budget], micro_usd: int) -> None:
        for one in budgets:
            one.check(self._spent[day, one.owner] + micro_usd)

    def _add(self, reservation: Reservation, micro_usd: int) -> None:
        for owner in reservation.owners:
            self._spent[reservation.day, owner] += micro_usd


class TableLedger:
    """The ledger of all replicas together, in a DynamoDB table: no call is made unless the table has its money.

    One item a day: `pk` "spending", `sk` the date; and one for each caller with a limit: `pk` "caller", `sk` the date
    and the name. A write whose outcome is unknown is never sent again, so the sums can only be too high.
    """

    def __init__(
        self, client: "DynamoDBClient", table: str, cap: int | None, today: Callable[[], date] = today_utc
    ) -> None:
        self._client = client
        self._table = table
        self._cap = cap
        self._today = today
        self._sums: dict[_Key, int] = {}
        """Micro-USD by the keys of the items, as last known."""

    def check(self, micro_usd: int) -> None:
        """See Ledger."""
        day = self._today()
        for one in _budgets(self._cap):
            one.check(self._sums.get(_key(day, one.owner), 0) + micro_usd)

    def reserve(self, micro_usd: int) -> Reservation:
        """See Ledger. Raises DependencyUnavailable if the table does not respond."""
        day, budgets = self._today(), _budgets(self._cap)
        with ExitStack() as taken:
            for one in budgets:
                self._take(day, one, micro_usd)
                taken.callback(self.give_back, Reservation(day, micro_usd, [one.owner]))
            taken.pop_all()
        return Reservation(day, micro_usd, [one.owner for one in budgets])

    def give_back(self, reservation: Reservation) -> None:
        """See Ledger; if the table does not respond, the money stays spent."""
        for owner in reservation.owners:
            try:
                self._add(reservation.day, owner, -reservation.micro_usd)
            except DomainError as exc:
                logger.warning("money not given back", micro_usd=reservation.micro_usd, error=exc.message)

    def refresh(self) -> None:
        """Read the month and today's callers. Raises Misconfigured if there is no such table, DependencyUnavailable."""
        today = self._today().isoformat()
        with explained(self._table, _CONTENT):
            items = [
                *query_prefix(self._client, self._table, {"S": _DAYS}, today[: len("2026-11")]),
                *query_prefix(self._client, self._table, {"S": _CALLERS}, today),
            ]
        self._sums = {(item["pk"]["S"], item["sk"]["S"]): int(item["micro_usd"]["N"]) for item in items}

    def spending(self) -> pb.Spending:
        """See Ledger."""
        day = self._today().isoformat()
        days = {on: spent for (pk, on), spent in self._sums.copy().items() if pk == _DAYS}
        month = sum(spent for on, spent in days.items() if on[:7] == day[:7])
        return pb.Spending(today_micro_usd=days.get(day, 0), month_micro_usd=month, daily_cap_micro_usd=self._cap)

    def _take(self, day: date, budget: _Budget, micro_usd: int) -> None:
        """Add to the owner's sum of the day. Raises BudgetExhausted if that would be too much."""
        budget.check(micro_usd)
        try:
            self._add(day, budget.owner, micro_usd, budget.cap)
        except ConditionFailed:
            raise budget.exhausted() from None

    def _add(self, day: date, owner: str, micro_usd: int, cap: int | None = None) -> None:
        """Add to the owner's sum of the day. Raises ConditionFailed if that would pass the cap."""
        pk, sk = _key(day, owner)
        update, values, condition = "ADD micro_usd :amount", {":amount": micro_usd}, dict[str, Any]()
        if owner != _EVERYBODY:
            update += " SET expires = :expires"
            values[":expires"] = int((datetime.combine(day, time(), UTC) + _KEPT).timestamp())
        if cap is not None:
            condition = {"ConditionExpression": "attribute_not_exists(micro_usd) OR micro_usd <= :room"}
            values[":room"] = cap - micro_usd
        with explained(self._table, _CONTENT):
            response = self._client.update_item(
                TableName=self._table,
                Key={"pk": {"S": pk}, "sk": {"S": sk}},
                UpdateExpression=update,
                ExpressionAttributeValues={name: {"N": str(number)} for name, number in values.items()},
                ReturnValues="UPDATED_NEW",
                **condition,
            )
        self._sums[pk, sk] = int(response["Attributes"]["micro_usd"]["N"])


def _key(day: date, owner: str) -> _Key:
    """Return `pk` and `sk` of the owner's sum of the day."""
    return (_DAYS, day.isoformat()) if owner == _EVERYBODY else (_CALLERS, f"{day.isoformat()}/{owner}")
