"""The memory for answers: its bounds, and for which models they hold."""

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.cache.memory import ENTRY_BYTES, Memory
from services.runtime.limits import MIB

V1, V2 = ({"svm": frozenset({("wavelet", version)})} for version in "12")


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def memory(mib: int = 1, ttl: float = 10) -> tuple[Memory, Clock]:
    clock = Clock()
    made = Memory(clock)
    made.resize(mib, ttl)
    return made, clock


def test_forgets_what_is_too_old() -> None:
    """An answer is there until it is as old as the TTL, however often it is used."""
    kept, clock = memory(ttl=10)
    kept.put(b"key", b"answer", V1)
    clock.now = 9.9
    assert kept.get(b"key", V1) == b"answer"
    clock.now = 10
    assert (kept.get(b"key", V1), kept.size) == (None, 0)


def test_frees_what_nobody_asks_for() -> None:
    """Answers that are too old go when others come, also if nobody asks for them again."""
    kept, clock = memory(ttl=10)
    kept.put(b"old", b"answer", V1)
    clock.now = 11
    kept.put(b"new", b"answer", V1)
    assert kept.size == len(b"answer") + ENTRY_BYTES


def test_holds_for_its_models_only() -> None:
    """An answer of other models than those of the moment is dropped, and does not come back with them."""
    kept, _ = memory()
    kept.put(b"key", b"answer", V1)
    assert kept.get(b"key", V1 | {"other": frozenset()}) == b"answer"
    assert kept.get(b"key", V2) is None
    assert kept.get(b"key", V1) is None


def test_drops_what_was_used_least_recently() -> None:
    """When it is full, what was used least recently goes first."""
    kept, _ = memory(mib=1)
    third = bytes(MIB // 3 - ENTRY_BYTES)
    for key in (b"a", b"b", b"c"):
        kept.put(key, third, V1)
    kept.get(b"a", V1)
    kept.put(b"d", third, V1)
    assert [kept.get(key, V1) is not None for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


def test_shrinks_at_once() -> None:
    """Smaller bounds, or none at all, hold at once."""
    kept, _ = memory(mib=2)
    for number in range(3):
        kept.put(bytes([number]), bytes(MIB // 2), V1)
    kept.resize(1, 10)
    assert 0 < kept.size <= MIB
    kept.resize(0, 10)
    assert (kept.size, kept.is_off) == (0, True)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, MIB // 2)), max_size=30))
def test_is_never_over_its_size(puts: list[tuple[int, int]]) -> None:
    """Whatever is put in, it holds at most what it may, and what it says it holds is the sum of what is there."""
    kept, _ = memory(mib=1)
    there: dict[bytes, int] = {}
    for number, length in puts:
        kept.put(bytes([number]), bytes(length), V1)
        there[bytes([number])] = length
        assert kept.size <= MIB
    found = [key for key in there if kept.get(key, V1) is not None]
    assert kept.size == sum(there[key] + ENTRY_BYTES for key in found)


def test_holds_no_more_than_it_says() -> None:
    """What it says it holds is what Python allocates for it, and not much more."""
    kept, _ = memory(mib=64)
    source = random.Random(7)  # noqa: S311 - not a secret
    tracemalloc.start()
    try:
        for _ in range(3000):
            kept.put(source.randbytes(32), source.randbytes(600), V1)
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.75 * kept.size <= allocated <= kept.size


def test_a_response_is_kept_no_longer_than_its_answers() -> None:
    """What is made of answers is as old as the oldest of them, and holds for the models of all."""
    kept, clock = memory(ttl=10)
    other = {"aws": frozenset({("rekognition", "1")})}
    kept.put(b"svm", b"", V1)
    clock.now = 4
    kept.put(b"aws", b"", other)
    kept.join(b"whole", b"response", [b"svm", b"aws"], [("svm", 0), ("aws", 1000)])
    entry = kept.find(b"whole", V1 | other)
    assert entry is not None
    assert (entry.answer, entry.saved, entry.time) == (b"response", [("svm", 0), ("aws", 1000)], 0)
    clock.now = 10
    assert kept.find(b"whole", V1 | other) is None
    assert kept.get(b"aws", other) == b""


def test_a_response_is_outdated_with_any_of_its_answers() -> None:
    """Another model of one recognizer outdates what was made of its answer, too."""
    kept, _ = memory()
    other = {"aws": frozenset({("rekognition", "1")})}
    kept.put(b"svm", b"", V1)
    kept.put(b"aws", b"", other)
    kept.join(b"whole", b"response", [b"svm", b"aws"], [("svm", 0), ("aws", 0)])
    assert kept.find(b"whole", V2 | other) is None


def test_a_response_of_answers_that_went_is_not_kept() -> None:
    """Nobody knows how old it would be."""
    kept, _ = memory()
    kept.put(b"svm", b"", V1)
    kept.join(b"whole", b"response", [b"svm", b"aws"], [("svm", 0), ("aws", 0)])
    assert kept.find(b"whole", V1) is None
