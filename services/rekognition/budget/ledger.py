"""Money: reserved before it is spent, never more than the day's cap, nor than its caller may spend a day."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition.budget.prices import TIERS, Group, dollars, group_calls
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
_SUM = "micro_usd"
_WRITES = "writes"
"""How often an item was written: of two answers the one with more is the newer one, whichever comes first."""
_KEPT = timedelta(days=3)
"""How long after its day's beginning the table keeps what a caller spent."""


@dataclass(frozen=True)
class Reservation:
    """Money taken from one day's budgets."""

    day: date
    micro_usd: int
    owners: Sequence[str]


class Ledger(Protocol):
    """Count of the money, and of the calls that set the prices. Safe to share between threads.

    All methods but `check`, `count`, `month_calls` and `spending` may block. Each call is paid from the budget of all
    callers together and, if its own caller has a limit, from that caller's.
    """

    def check(self, micro_usd: int) -> None:
        """Raise BudgetExhausted if less is left today, as last known; it takes nothing, so `reserve` may still fail."""

    def reserve(self, micro_usd: int) -> Reservation:
        """Take the money from today's budgets. Raises BudgetExhausted, and takes nothing, if too little is left."""

    def give_back(self, reservation: Reservation) -> None:
        """Return money that was surely not spent."""

    def count(self, day: date, group: Group) -> None:
        """Count a call that AWS surely billed. A call whose outcome is unknown is none: the next price is never low."""

    def month_calls(self) -> Mapping[str, int]:
        """Return the number of calls by price group that were counted this month, as last known: never too many."""

    def refresh(self) -> None:
        """Read what others have spent."""

    def spending(self) -> pb.Spending:
        """Return what was spent today and this month, as last known, and the cap."""


def today_utc() -> date:
    """Return the day whose budget is spent."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class _Budget:
    """What may be spent on a day: by the caller who owns it, or by everybody."""

    day: date
    owner: str
    whole: int | None
    replicas: int = 1
    """Number of those that each have an equal part."""

    @property
    def cap(self) -> int | None:
        """This replica's part."""
        return None if self.whole is None else self.whole // self.replicas

    def check(self, spent: int) -> None:
        """Raise BudgetExhausted if that is too much."""
        if self.cap is not None and spent > self.cap:
            raise self.exhausted()

    def exhausted(self) -> BudgetExhausted:
        """Return the refusal that holds until the day ends, which it may have done since it was asked for."""
        midnight = datetime.combine(self.day + timedelta(days=1), time(), UTC)
        error, amount = BudgetExhausted, dollars(self.whole or 0)
        money, setting = f"today's {amount}", "MARQUEE_REKOGNITION_DAILY_CAP_USD"
        if self.owner != _EVERYBODY:
            error, money = CallerBudgetExhausted, f"{self.owner}'s {amount} a day"
            setting = "usd= in the caller's line of MARQUEE_CALLERS"
        if self.replicas > 1:
            money = f"this replica's part, {dollars(self.cap or 0)}, of {money}"
        return error(
            f"Too little is left of {money} for Rekognition to pay for this call. The budget renews at midnight UTC; "
            f"an operator can raise {setting}.",
            retry_after=max(0.0, (midnight - datetime.now(UTC)).total_seconds()),
        )


def _budgets(day: date, cap: int | None, replicas: int = 1) -> list[_Budget]:
    """Return the budgets that pay for the current caller's calls: first its own, so that it takes nobody's place."""
    caller = current()
    own = [] if caller.daily_micro_usd is None else [_Budget(day, caller.name, caller.daily_micro_usd, replicas)]
    return [*own, _Budget(day, _EVERYBODY, cap, replicas)]


class ProcessLedger:
    """The ledger of a replica that counts for itself, from its start on, and has an equal part of all budgets."""

    def __init__(self, cap: int | None, today: Callable[[], date] = today_utc, replicas: int = 1) -> None:
        self._cap = cap
        self._today = today
        self._replicas = replicas
        self._spent: Counter[tuple[date, str]] = Counter()
        self._calls: Counter[tuple[date, str]] = Counter()
        self._lock = threading.Lock()

    def check(self, micro_usd: int) -> None:
        """See Ledger."""
        self._check(_budgets(self._today(), self._cap, self._replicas), micro_usd)

    def reserve(self, micro_usd: int) -> Reservation:
        """See Ledger."""
        day = self._today()
        budgets = _budgets(day, self._cap, self._replicas)
        reservation = Reservation(day, micro_usd, [one.owner for one in budgets])
        with self._lock:
            self._check(budgets, micro_usd)
            self._add(reservation, micro_usd)
        return reservation

    def give_back(self, reservation: Reservation) -> None:
        """See Ledger."""
        with self._lock:
            self._add(reservation, -reservation.micro_usd)

    def count(self, day: date, group: Group) -> None:
        """See Ledger."""
        with self._lock:
            self._calls[day, group] += 1

    def month_calls(self) -> Mapping[str, int]:
        """See Ledger."""
        return self._month_calls(self._today())

    def refresh(self) -> None:
        """Drop earlier months; nobody else spends from this ledger."""
        first = self._today().replace(day=1)
        with self._lock:
            self._spent = Counter({key: spent for key, spent in self._spent.items() if key[0] >= first})
            self._calls = Counter({key: calls for key, calls in self._calls.items() if key[0] >= first})

    def spending(self) -> pb.Spending:
        """See Ledger."""
        day = self._today()
        with self._lock:
            days = {on: spent for (on, owner), spent in self._spent.items() if owner == _EVERYBODY}
        return pb.Spending(
            today_micro_usd=days.get(day, 0),
            month_micro_usd=sum(spent for on, spent in days.items() if _month(on) == _month(day)),
            daily_cap_micro_usd=_Budget(day, _EVERYBODY, self._cap, self._replicas).cap,
            replicas=self._replicas if self._replicas > 1 else 0,
            month_calls=group_calls(self._month_calls(day)),
        )

    def _month_calls(self, day: date) -> Counter[str]:
        sums = Counter[str]()
        with self._lock:
            for (on, group), calls in self._calls.items():
                sums[group] += calls if _month(on) == _month(day) else 0
        return +sums

    def _check(self, budgets: Sequence[_Budget], micro_usd: int) -> None:
        for one in budgets:
            one.check(self._spent[one.day, one.owner] + micro_usd)

    def _add(self, reservation: Reservation, micro_usd: int) -> None:
        for owner in reservation.owners:
            self._spent[reservation.day, owner] += micro_usd


class TableLedger:
    """The ledger of all replicas together, in a DynamoDB table: no call is made unless the table has its money.

    One item a day: `pk` "spending", `sk` the date; and one for each caller with a limit: `pk` "caller", `sk` the date
    and the name. A write whose outcome is unknown is never sent again, so the sums can only be too high. The day's item
    has the numbers of calls, too: they go with the next write of the sum, and can only be too low.
    """

    def __init__(
        self, client: "DynamoDBClient", table: str, cap: int | None, today: Callable[[], date] = today_utc
    ) -> None:
        self._client = client
        self._table = table
        self._cap = cap
        self._today = today
        self._items: dict[_Key, dict[str, int]] = {}
        """Numbers by the keys of the items, as last known."""
        self._counted: Counter[tuple[date, str]] = Counter()
        """Calls of this replica that the table lacks."""
        self._lock = threading.Lock()

    def check(self, micro_usd: int) -> None:
        """See Ledger."""
        for one in _budgets(self._today(), self._cap):
            one.check(self._items.get(_key(one.day, one.owner), {}).get(_SUM, 0) + micro_usd)

    def reserve(self, micro_usd: int) -> Reservation:
        """See Ledger. Raises DependencyUnavailable if the table does not respond."""
        day = self._today()
        budgets = _budgets(day, self._cap)
        with ExitStack() as taken:
            for one in budgets:
                self._take(one, micro_usd)
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

    def count(self, day: date, group: Group) -> None:
        """See Ledger."""
        with self._lock:
            self._counted[day, group] += 1

    def month_calls(self) -> Mapping[str, int]:
        """See Ledger."""
        today = self._today()
        sums = Counter({group: calls for (day, group), calls in self._counted.copy().items() if day == today})
        for numbers in self._month(today).values():
            sums.update({group: numbers.get(group, 0) for group in TIERS})
        return +sums

    def refresh(self) -> None:
        """Read the month and today's callers. Raises Misconfigured if there is no such table, DependencyUnavailable."""
        today = self._today().isoformat()
        with explained(self._table, _CONTENT):
            items = [
                *query_prefix(self._client, self._table, {"S": _DAYS}, today[: len("2026-11")]),
                *query_prefix(self._client, self._table, {"S": _CALLERS}, today),
            ]
        with self._lock:
            read = {(item["pk"]["S"], item["sk"]["S"]): _numbers(item) for item in items}
            self._items = {key: self._newest(key, numbers) for key, numbers in read.items()}

    def spending(self) -> pb.Spending:
        """See Ledger."""
        today = self._today()
        days = {on: numbers.get(_SUM, 0) for on, numbers in self._month(today).items()}
        return pb.Spending(
            today_micro_usd=days.get(today.isoformat(), 0),
            month_micro_usd=sum(days.values()),
            daily_cap_micro_usd=self._cap,
            month_calls=group_calls(self.month_calls()),
        )

    def _month(self, today: date) -> dict[str, dict[str, int]]:
        """Return the numbers of the month's days, by date."""
        month = today.isoformat()[: len("2026-11")]
        items = self._items.copy().items()
        return {on: numbers for (pk, on), numbers in items if pk == _DAYS and on.startswith(month)}

    def _take(self, budget: _Budget, micro_usd: int) -> None:
        """Add to the owner's sum of the day. Raises BudgetExhausted if that would be too much."""
        budget.check(micro_usd)
        try:
            self._add(budget.day, budget.owner, micro_usd, budget.cap)
        except ConditionFailed:
            raise budget.exhausted() from None

    def _add(self, day: date, owner: str, micro_usd: int, cap: int | None = None) -> None:
        """Add to the owner's sum of the day. Raises ConditionFailed if that would pass the cap."""
        calls = self._take_counted(day) if owner == _EVERYBODY else {}
        try:
            self._update(_key(day, owner), micro_usd, calls, _expiry(day, owner), cap)
        except ConditionFailed:
            with self._lock:
                self._counted.update({(day, group): number for group, number in calls.items()})
            raise

    def _take_counted(self, day: date) -> dict[str, int]:
        """Return the day's calls that the table lacks, and forget them and those of earlier days."""
        with self._lock:
            calls = {group: number for (on, group), number in self._counted.items() if on == day}
            self._counted = Counter({key: number for key, number in self._counted.items() if key[0] > day})
        return calls

    def _update(
        self, key: _Key, micro_usd: int, calls: Mapping[str, int], expires: Mapping[str, int], cap: int | None
    ) -> None:
        """Add to the item's numbers, unless its sum would pass the cap."""
        update = f"ADD {_SUM} :amount, {_WRITES} :one" + "".join(f", {group} :{group}" for group in calls)
        update += "".join(f" SET {name} = :{name}" for name in expires)
        values, condition = {"amount": micro_usd, "one": 1, **calls, **expires}, dict[str, Any]()
        if cap is not None:
            condition = {"ConditionExpression": f"attribute_not_exists({_SUM}) OR {_SUM} <= :room"}
            values["room"] = cap - micro_usd
        pk, sk = key
        with explained(self._table, _CONTENT):
            response = self._client.update_item(
                TableName=self._table,
                Key={"pk": {"S": pk}, "sk": {"S": sk}},
                UpdateExpression=update,
                ExpressionAttributeValues={f":{name}": {"N": str(number)} for name, number in values.items()},
                ReturnValues="UPDATED_NEW",
                **condition,
            )
        with self._lock:
            self._items[key] = self._newest(key, _numbers(response["Attributes"]))

    def _newest(self, key: _Key, numbers: Mapping[str, int]) -> dict[str, int]:
        """Return the item's numbers with these, or without them if they are older than those that are known."""
        known = self._items.get(key, {})
        return known if numbers.get(_WRITES, 0) < known.get(_WRITES, 0) else {**known, **numbers}


def _key(day: date, owner: str) -> _Key:
    """Return `pk` and `sk` of the owner's sum of the day."""
    return (_DAYS, day.isoformat()) if owner == _EVERYBODY else (_CALLERS, f"{day.isoformat()}/{owner}")


def _expiry(day: date, owner: str) -> dict[str, int]:
    """Return the time after which DynamoDB may delete the owner's sum of the day; {}: it stays."""
    return {} if owner == _EVERYBODY else {"expires": int((datetime.combine(day, time(), UTC) + _KEPT).timestamp())}


def _numbers(item: Mapping[str, Any]) -> dict[str, int]:
    """Return the sum and the calls of an item; those of an earlier version have no calls."""
    return {name: int(value["N"]) for name, value in item.items() if name in (_SUM, _WRITES, *TIERS)}


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month
