"""A visit: who makes a request, what they may do, and what the gateway is shown for them."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import TypeAlias

from google.protobuf.message import Message

from services.runtime import status
from services.runtime.doors import audit
from services.runtime.doors.caller import Caller
from services.runtime.doors.scopes import TABLE, Scope
from services.runtime.errors import CollectionForbidden, ForeignRequest, ScopeMissing

Metadata: TypeAlias = tuple[tuple[str, str], ...]
_VIEWER = frozenset({Scope.RECOGNIZE})
ROLES = {
    "viewer": _VIEWER,
    "editor": _VIEWER | {Scope.ENROLL},
    "admin": _VIEWER | {Scope.ENROLL, Scope.ADMIN},
}
"""Role → scopes. Viewers recognize pictures, editors enroll people, too, and admins see what is spent, too."""


@dataclass(frozen=True)
class Visit:
    """A request's visitor."""

    caller: Caller | None
    """Who it is. None: they show the gateway an Authorization of their own, and it decides; or, on pages that need no
    visitor, they have not signed in."""
    display_name: str
    """Their name as people read it; empty for everybody."""
    metadata: Metadata
    """What the gateway is shown."""
    nonce: str
    """Of the response's Content-Security-Policy: what its scripts, styles and htmx elements carry."""
    csrf_token: str
    """What forms and scripts of the page send back, in the field `csrf_token` or the header `X-CSRF-Token`."""
    default_collection: str = ""
    """Collection that an empty one means."""
    is_confirmed: bool = True
    """Whether the request is known to come from the page itself. If not, see `confirm`, nothing is done for it."""
    count: Callable[[str], None] | None = None
    """Count a call by its path. Raises RateExceeded."""

    @property
    def is_signed_in(self) -> bool:
        """Whether somebody has signed in, rather than that everybody may come in."""
        return self.caller is not None and not self.caller.is_anonymous

    @property
    def collections(self) -> list[str] | None:
        """Collections that they may use, sorted; None: all."""
        named = self.caller.collections if self.caller else None
        return None if named is None else sorted(named)

    def may(self, scope: str) -> bool:
        """Return whether the visitor has the scope."""
        return self.caller is not None and self.caller.may(Scope(scope))

    def check(self, path: str, request: Message) -> None:
        """Count the call, whose `path` is "/service/method".

        Raises ForeignRequest, ScopeMissing, CollectionForbidden or RateExceeded if the visitor may not make it.
        """
        if not self.is_confirmed:
            raise _foreign()
        if self.caller is None:
            return
        try:
            self._check(self.caller, path, request)
        except (ScopeMissing, CollectionForbidden) as exc:
            audit.refusal(path.rpartition("/")[2], status.TABLE[type(exc)][1], exc.message)
            raise
        if self.count:
            self.count(path)

    def _check(self, caller: Caller, path: str, request: Message) -> None:
        scope = TABLE[path]
        if not caller.may(scope):
            raise ScopeMissing(f"You lack the scope {scope}, which {path[1:]} needs.", scope=scope)
        collection = getattr(request, "collection", None)
        if collection is not None:
            caller.check_collection(collection, self.default_collection)


_current: ContextVar[Visit] = ContextVar("visit")


def current() -> Visit:
    """Return the visit of the current request."""
    return _current.get()


def enter(visit: Visit) -> None:
    """Set the visit of the current request."""
    _current.set(visit)


def confirm(token: object) -> None:
    """Take the field `csrf_token` of a form, None without one, for proof that the page itself asks.

    After the header none is needed. Raises ForeignRequest if it is wrong.
    """
    if not current().is_confirmed and not is_token(token):
        raise _foreign()
    enter(replace(current(), is_confirmed=True))


def is_token(token: object) -> bool:
    """Return whether it is the visitor's `csrf_token`, in a time that tells nothing of that."""
    expected = current().csrf_token.encode()
    return isinstance(token, str) and compare_digest(token.encode("utf-8", "replace"), expected)


def _foreign() -> ForeignRequest:
    return ForeignRequest("The page is out of date: reload it and try again.")
