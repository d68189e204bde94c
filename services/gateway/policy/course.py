"""The course of a call: which recognizers its policy asks next, and whom it leaves out. Pure."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.requests import Policy

POLICIES = tuple(policy for policy in pb.Policy.values() if policy)
"""Those that a gateway offers."""
SURE = "the results before it are sure"
INCOMPLETE = "a required recognizer has failed"


class Member(NamedTuple):
    """A recognizer of a call."""

    name: str
    is_required: bool = False
    is_paid: bool = False


class Step(NamedTuple):
    """What to do now: whom to ask, whose calls to cancel, and whom never to ask; the reason is said to the caller."""

    ask: Sequence[str] = ()
    cancel: Sequence[str] = ()
    skip: Sequence[str] = ()
    reason: str = ""


class Course:
    """The course of one call: whom a policy has asked, and who has answered. Members are in the configured order."""

    def __init__(self, policy: Policy, members: Iterable[Member]) -> None:
        self._is_cascade = policy == pb.POLICY_CASCADE
        self._may_cancel = policy == pb.POLICY_FIRST_CONFIDENT
        self._waiting = {member.name: member for member in members}
        self._pending: dict[str, Member] = {}

    @property
    def prefers_cached(self) -> bool:
        """Whether it makes a difference at the beginning whose results are cached."""
        return self._may_cancel

    def begin(self, cached: Collection[str] = ()) -> Step:
        """Return the first step: whom to ask at once.

        A cascade begins with those that are required, if any are. Whose results are cached answer for nothing, so
        FIRST_CONFIDENT hears them before it asks the others.
        """
        names = list(self._waiting)
        if self._is_cascade:
            names = [name for name, member in self._waiting.items() if member.is_required] or names[:1]
        elif self._may_cancel:
            names = [name for name in names if name in cached] or names
        return Step(ask=self._ask(names))

    def hear(self, name: str) -> None:
        """Note that this recognizer has answered."""
        del self._pending[name]

    @property
    def is_open(self) -> bool:
        """Whether the next step depends on how sure the results are."""
        if self._waiting and not self._pending:
            return True
        return self._may_cancel and not all(member.is_required for member in self._pending.values())

    @property
    def awaits_required(self) -> bool:
        """Whether somebody who is required has yet to answer."""
        return any(member.is_required for member in (*self._pending.values(), *self._waiting.values()))

    @property
    def unasked(self) -> int:
        """Number of recognizers that may still be asked."""
        return len(self._waiting)

    def go_on(self, *, is_sure: bool, veto: str = "") -> Step:
        """Return the next step of a course that `is_open`; a veto, which is a reason, holds where it costs money."""
        if is_sure:
            return self.end(SURE)
        if self._pending:
            return Step()
        following = next(iter(self._waiting.values()))
        if self._is_cascade and veto and following.is_paid:
            return self.end(veto)
        return Step(ask=self._ask([following.name] if self._is_cascade else [*self._waiting]))

    def end(self, reason: str) -> Step:
        """Return the last step: only those that are required are asked, or may still answer."""
        cancelled = [name for name, member in self._pending.items() if not member.is_required]
        for name in cancelled:
            del self._pending[name]
        asked = self._ask([name for name, member in self._waiting.items() if member.is_required])
        skipped, self._waiting = list(self._waiting), {}
        return Step(asked, cancelled, skipped, reason)

    def _ask(self, names: Sequence[str]) -> Sequence[str]:
        self._pending |= {name: self._waiting.pop(name) for name in names}
        return names
