"""How often a caller may call."""

import sys

import pytest

from services.runtime.doors.caller import Caller
from services.runtime.doors.door import Pace
from services.runtime.errors import RateExceeded


class Clock:
    """A clock that is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def caller(rate: float | None, name: str = "someone") -> Caller:
    return Caller(name, frozenset(), calls_per_second=rate)


def calls(pace: Pace, who: Caller) -> int:
    """Return how many calls are let through at once."""
    for number in range(1000):
        try:
            pace.check(who)
        except RateExceeded:
            return number
    return 1000


@pytest.mark.parametrize(("rate", "at_once"), [(5, 5), (1, 1), (2.5, 2), (0.1, 1), (None, 1000)])
def test_as_many_calls_at_once_as_a_second_has(rate: float | None, at_once: int) -> None:
    """A burst of one second's calls passes, at least of one call; without a rate all do."""
    assert calls(Pace(Clock()), caller(rate)) == at_once


@pytest.mark.parametrize("rate", [0.1, 1, 5, 300])
def test_room_comes_back_evenly(rate: float) -> None:
    """The refusal says after how long the next call passes; then one does, and no second one."""
    clock = Clock()
    pace, who = Pace(clock), caller(rate)
    calls(pace, who)
    with pytest.raises(RateExceeded, match="someone may make") as caught:
        pace.check(who)
    assert caught.value.retry_after == pytest.approx(1 / rate)
    clock.now += 1.001 / rate
    assert calls(pace, who) == 1


def test_a_long_rest_saves_up_no_more_than_a_second() -> None:
    """After an hour's rest as many calls pass at once as at first."""
    clock = Clock()
    pace, who = Pace(clock), caller(5)
    calls(pace, who)
    clock.now += 3600
    assert calls(pace, who) == 5


def test_callers_do_not_slow_each_other() -> None:
    """Every caller has a pace of their own."""
    pace = Pace(Clock())
    assert [calls(pace, caller(3, name)) for name in ("a", "b", "a")] == [3, 3, 0]


def test_limits_of_several_lines_do_not_mix() -> None:
    """Who has a new token with a higher limit need not wait for what the old one may no longer do."""
    pace = Pace(Clock())
    assert [calls(pace, caller(rate)) for rate in (0.01, 5, 0.01)] == [1, 5, 0]


def test_a_pace_may_be_of_a_minute() -> None:
    """A minute's calls may come at once; after half a minute half of them may again."""
    clock = Clock()
    pace, who = Pace(clock, seconds=60), caller(0.5)
    assert calls(pace, who) == 30
    clock.now += 30
    assert calls(pace, who) == 15


def test_who_called_long_ago_is_forgotten() -> None:
    """A pace of many names, such as addresses, keeps those that matter: nobody gets more, and memory has a bound."""
    clock = Clock()
    pace, who = Pace(clock), caller(5, "regular")
    for number in range(20_000):
        clock.now += 0.001
        pace.check(caller(100, f"address {number}"))
    assert calls(pace, who) == 5
    for number in range(2000):
        pace.check(caller(1000, f"other {number}"))
    assert calls(pace, who) == 0
    assert sys.getsizeof(pace._full) < 1024 * 1024
