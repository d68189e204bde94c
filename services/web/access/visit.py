"""A visit: who makes a request, what they may do, and what the gateway is shown for them."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from services.runtime.doors.caller import Caller
from services.runtime.doors.scopes import TABLE, Scope
from services.runtime.errors import ScopeMissing

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
        """Raise ScopeMissing or CollectionForbidden if the visitor may not make the call. `path`: "/service/method"."""
        if self.caller is None:
            return
        scope = TABLE[path]
        if not self.caller.may(scope):
            raise ScopeMissing(f"You lack the scope {scope}, which {path[1:]} needs.", scope=scope)
        collection = getattr(request, "collection", None)
        if collection is not None:
            self.caller.check_collection(collection, self.default_collection)


_current: ContextVar[Visit] = ContextVar("visit")


def current() -> Visit:
    """Return the visit of the current request."""
    return _current.get()


def enter(visit: Visit) -> None:
    """Set the visit of the current request."""
    _current.set(visit)
