"""Identities: who has signed in, and what the register and the issuer's claims let them do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.runtime.doors.caller import Caller
from services.runtime.doors.oidc import words
from services.runtime.doors.register import Register, digest_of, read_register
from services.runtime.doors.scopes import Scope
from services.runtime.doors.watch import Watched
from services.runtime.errors import Forbidden, TokenUnknown, Unauthenticated
from services.runtime.status import CONTROL_IN_NAME
from services.web.access.session import Identity
from services.web.access.visit import ROLES
from services.web.settings import WebSettings

_MAX_NAME_CHARACTERS = 80
_NAME_CLAIMS = ("preferred_username", "email", "sub")
"""Claims of a name where the one that is asked for is missing."""
_NAMELESS = "You"


class Identities:
    """Who may sign in. Raises ValueError and OSError for a register that cannot be read."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        path = settings.callers
        self._watched = Watched("callers", [path], lambda: read_register(path)) if path else None
        self._roles = {"admin": settings.oidc_admins, "editor": settings.oidc_editors, "viewer": settings.oidc_viewers}

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return () if self._watched is None else (self._watched,)

    def of_token(self, token: str) -> Identity:
        """Return whose token it is. Raises TokenUnknown and TokenExpired."""
        identity = {"token": digest_of(token)}
        self.caller(identity)
        return identity

    def of_claims(self, claims: Mapping[str, Any]) -> Identity:
        """Return whom the issuer's claims describe. Raises Forbidden for somebody who may not sign in."""
        identity = {
            "issuer": self._settings.oidc_issuer,
            "sub": claims["sub"],
            "name": self._name(claims),
            "role": self._role(claims),
            "collections": sorted(set(words(claim(claims, self._settings.oidc_collections_claim)))),
        }
        self.caller(identity)
        return identity

    def caller(self, identity: Identity) -> Caller:
        """Return what they may do at this moment. Raises Unauthenticated and Forbidden once they may not sign in."""
        caller = self._listed(identity) if "token" in identity else self._claimed(identity)
        return replace(caller, scopes=caller.scopes - {Scope.RELAY})

    @property
    def _register(self) -> Register:
        return self._watched.value if self._watched else Register()

    def _listed(self, identity: Identity) -> Caller:
        caller = self._register.caller_of_digest(identity["token"])
        if caller is None:
            raise TokenUnknown("Nobody here has this token. Was it copied whole, and is it for this Marquee?")
        return caller

    def _claimed(self, identity: Identity) -> Caller:
        if identity["issuer"] != self._settings.oidc_issuer:
            raise Unauthenticated("Your session is of another issuer. Sign in again.")
        if listed := self._register.caller_of_subject(identity["sub"]):
            return listed
        if identity["role"] is None:
            raise Forbidden("You have no role here. Ask whoever runs this Marquee for one, then sign in again.")
        try:
            name = self._register.free_name(identity["sub"])
        except ValueError as exc:
            raise Forbidden(f"You cannot be let in: {exc}.") from None
        collections = identity["collections"] or [self._settings.default_collection]
        return Caller(name, ROLES[identity["role"]], frozenset(collections))

    def _role(self, claims: Mapping[str, Any]) -> str | None:
        roles = set(words(claim(claims, self._settings.oidc_roles_claim)))
        return next(
            (role for role, values in self._roles.items() if roles & set(values)), self._settings.oidc_default_role
        )

    def _name(self, claims: Mapping[str, Any]) -> str:
        values = (claim(claims, name) for name in (self._settings.oidc_name_claim, *_NAME_CLAIMS))
        texts = (CONTROL_IN_NAME.sub(" ", value).strip() for value in values if isinstance(value, str))
        return next((text for text in texts if text), _NAMELESS)[:_MAX_NAME_CHARACTERS]


def claim(claims: Mapping[str, Any], path: str) -> object:
    """Return the claim of that name, or the one to which dots lead; None if it is missing."""
    if path in claims:
        return claims[path]
    first, _, rest = path.partition(".")
    inner = claims.get(first)
    return claim(inner, rest) if rest and isinstance(inner, Mapping) else None
