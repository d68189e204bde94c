"""The time that the gateway keeps back of its caller's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.reserve import Reserve


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@given(st.lists(st.floats(-1, 1e6), max_size=20), st.floats(0, 86_400))
def test_is_bounded(samples: list[float], left: float) -> None:
    """Property: whatever was measured, at most a quarter of a second is kept back, and half of the time."""
    reserve = Reserve()
    for sample in samples:
        reserve.observe(sample)
    assert 0 <= reserve.of(left) <= min(0.25, left / 2)


def test_covers_what_was_measured(clock: Clock) -> None:
    """What took longest of late is kept back twice, and some time for the way to the caller."""
    reserve = Reserve(clock)
    clock.now = 1000
    reserve.observe(0.01)
    reserve.observe(0.005)
    assert reserve.of(12) == pytest.approx(0.07, abs=0.001)
    assert reserve.of(0.1) == pytest.approx(0.03, abs=0.001)


def test_forgets(clock: Clock) -> None:
    """One slow response counts for less and less, and soon the quick ones after it are what is covered."""
    reserve = Reserve(clock)
    reserve.observe(10)
    assert reserve.of(12) == 0.25
    clock.now = 120
    reserve.observe(0.001)
    assert reserve.of(12) < 0.06
