"""Money: reserved before it is spent, never more than the day's cap."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import BudgetExhausted


@dataclass(frozen=True)
class Reservation:
    """Money taken from one day's budget."""

    day: date
    micro_usd: int


class Ledger(Protocol):
    """Keeps count of the money. Safe to share between threads; all methods but `spending` may block."""

    def reserve(self, micro_usd: int) -> Reservation:
        """Takes the money from today's budget. Raises BudgetExhausted, and takes nothing, where it is not there."""

    def give_back(self, reservation: Reservation) -> None:
        """Puts back what was surely not spent."""

    def refresh(self) -> None:
        """Looks what others have spent."""

    def spending(self) -> pb.Spending:
        """What was spent today and this month, as last known, and the cap."""


def today_utc() -> date:
    """The day whose budget is spent."""
    return datetime.now(UTC).date()


def exhausted(cap: int) -> BudgetExhausted:
    """What callers are told until midnight UTC."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    return BudgetExhausted(
        f"What is left of today's ${cap / 1e6:g} for Rekognition does not pay this call. There is more from midnight "
        "UTC on; an operator may raise MARQUEE_REKOGNITION_DAILY_CAP_USD.",
        retry_after=(midnight - now).total_seconds(),
    )


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
                raise exhausted(self._cap)
            self._spent[day] += micro_usd
        return Reservation(day, micro_usd)

    def give_back(self, reservation: Reservation) -> None:
        """See Ledger."""
        with self._lock:
            self._spent[reservation.day] -= reservation.micro_usd

    def refresh(self) -> None:
        """Forgets earlier months; there are no others who spend."""
        first = self._today().replace(day=1)
        with self._lock:
            self._spent = Counter({day: spent for day, spent in self._spent.items() if day >= first})

    def spending(self) -> pb.Spending:
        """See Ledger."""
        day = self._today()
        with self._lock:
            month = sum(spent for on, spent in self._spent.items() if (on.year, on.month) == (day.year, day.month))
            return pb.Spending(today_micro_usd=self._spent[day], month_micro_usd=month, daily_cap_micro_usd=self._cap)
