"""Callers: who makes a call, and what they may do."""

import re
from contextvars import ContextVar
from dataclasses import dataclass, replace
from urllib.parse import quote

from structlog.contextvars import bind_contextvars

from services.runtime.doors.scopes import Scope
from services.runtime.errors import CollectionForbidden

NAME = re.compile(r"[A-Za-z0-9._~@:/+|%-]{1,255}")
"""What a caller may be named."""
_NAME_MARKS = "._~@:/+|-"
RELAY_KEY = "marquee-caller"
"""Metadata key of the name of the caller for whom a gateway calls. Believed only from callers with the scope relay."""
RELAY_BUDGET_KEY = "marquee-caller-micro-usd"
"""Metadata key of what that caller may spend a day, in millionths of a US dollar."""


@dataclass(frozen=True)
class Caller:
    """Who makes a call, and what they may do."""

    name: str
    scopes: frozenset[Scope]
    collections: frozenset[str] | None = None
    """Collections that they may use; None: all."""
    calls_per_second: float | None = None
    """None: as many as they like."""
    daily_micro_usd: int | None = None
    """What they may spend a day, in millionths of a US dollar; None: no limit of their own."""
    is_anonymous: bool = False

    def may(self, scope: Scope) -> bool:
        """Return whether the caller has the scope."""
        return scope in self.scopes

    def check_collection(self, collection: str, default: str) -> None:
        """Raise CollectionForbidden if the caller may not use the collection; an empty one means the default."""
        name = collection or default
        if self.collections is not None and name not in self.collections:
            allowed = ", ".join(one or "the default one" for one in sorted(self.collections)) or "none"
            raise CollectionForbidden(
                f"{self.name} may not use {f'the collection {name!r}' if name else 'the default collection'}; "
                f"it may use: {allowed}.",
                collection=name,
            )

    def speaking_for(self, name: str, daily_micro_usd: int | None) -> "Caller":
        """Return the caller for whom this one calls: with this one's rights, but without the right to relay."""
        return replace(self, name=name, daily_micro_usd=daily_micro_usd, scopes=self.scopes - {Scope.RELAY})


ANONYMOUS = Caller("anonymous", frozenset(Scope) - {Scope.RELAY}, is_anonymous=True)
"""Everybody, where no credentials are asked for."""
_current: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)


def current() -> Caller:
    """Return who makes the current call; ANONYMOUS outside of one."""
    return _current.get()


def enter(caller: Caller, relay: Caller | None = None) -> None:
    """Set who makes the current call, perhaps through a relay, until its task ends; its log lines name both, too."""
    _current.set(caller)
    bind_contextvars(caller=caller.name, **({"relayed_by": relay.name} if relay else {}))


def name_of(text: str) -> str:
    """Return a name made of another's text, such as the subject of a JWT; characters that no name has as %XX.

    Raises ValueError if it is empty or too long.
    """
    name = quote(text, safe=_NAME_MARKS, errors="replace")
    if not NAME.fullmatch(name):
        raise ValueError("a caller's name has 1 to 255 characters")
    return name
