"""The door of a server: who makes a call, and whether they may."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import grpc

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.doors.caller import ANONYMOUS, NAME, RELAY_BUDGET_KEY, RELAY_KEY, Caller, current, enter
from services.runtime.doors.certificates import names_of
from services.runtime.doors.oidc import Issuer, claimed
from services.runtime.doors.register import Register, read_register
from services.runtime.doors.scopes import OPEN, REFLECTION, TABLE, Scope
from services.runtime.doors.settings import DoorSettings
from services.runtime.doors.watch import Watched
from services.runtime.errors import (
    CertificateUnknown,
    CredentialsMissing,
    Forbidden,
    RateExceeded,
    RelayForbidden,
    ScopeMissing,
    TokenInvalid,
    TokenUnknown,
)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_MICRO_USD = re.compile("[0-9]{1,15}")
_JWT_DOTS = 2
_ROUNDING = 1e-6
_MIN_PACES = 1024
_NOBODY = Register()


class Door:
    """Who may call a server. Raises ValueError and OSError for a register that cannot be read."""

    def __init__(self, settings: DoorSettings) -> None:
        self._settings = settings
        self._issuer = Issuer(settings) if settings.jwt_issuer else None
        path = settings.callers
        self._register = Watched("callers", [path], lambda: read_register(path)) if path else None
        self._pace = Pace()

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return () if self._register is None else (self._register,)

    async def admit(self, path: str, context: Context, pairs: Sequence[tuple[str, Any]]) -> Caller:
        """Return who calls the method at the path with this metadata, who is `current` from now on.

        Raises Unauthenticated, Forbidden or RateExceeded: before a byte of the request is read.
        """
        if path in OPEN or (path in REFLECTION and self._settings.reflection == "everybody"):
            return ANONYMOUS
        metadata = _Metadata(pairs)
        caller = await self._caller(metadata, context)
        enter(caller)
        self._pace.check(caller)
        relayed = _relayed(caller, metadata)
        if relayed is not caller:
            enter(relayed, caller)
        if path not in REFLECTION:
            _check_scope(relayed, path)
        return relayed

    def check_collection(self, request: Any) -> None:
        """Raise CollectionForbidden if the caller may not use the request's collection; empty, it is the default."""
        collection = getattr(request, "collection", None)
        if collection is not None:
            current().check_collection(collection, self._settings.collection_by_default)

    async def _caller(self, metadata: "_Metadata", context: Context) -> Caller:
        register = self._register.value if self._register else _NOBODY
        if (self._register or self._issuer) and (token := metadata.token()):
            return register.caller_of_token(token) or await self._caller_of_jwt(token, register)
        if self._settings.tls_client_ca:
            names = _certificate_names(context)
            return register.caller_of_names(names) or self._certified(names, register)
        if self._settings.is_closed and not self._settings.allow_anonymous:
            raise CredentialsMissing("Send a token in the metadata: authorization: Bearer TOKEN.")
        return ANONYMOUS

    async def _caller_of_jwt(self, token: str, register: Register) -> Caller:
        if self._issuer is None or token.count(".") != _JWT_DOTS:
            raise TokenUnknown("The token is not known here. Was it copied whole, and is it for this server?")
        claims = await self._issuer.claims_of(token)
        return register.caller_of_subject(claims["sub"]) or claimed(claims, register)

    def _certified(self, names: Sequence[str], register: Register) -> Caller:
        """Return the caller of a certificate without a line in the register."""
        if not names:
            raise CertificateUnknown("The client certificate has no subject alternative name to call under.")
        if not self._settings.tls_client_scopes:
            raise CertificateUnknown(f"No caller here has a client certificate for {', '.join(names)}.")
        try:
            return Caller(register.free_name(names[0]), self._settings.tls_client_scopes)
        except ValueError as exc:
            raise CertificateUnknown(f"The client certificate's first name is refused: {exc}.") from None


def without_spending(response: pb.ListRecognizersResponse, caller: Caller) -> pb.ListRecognizersResponse:
    """Take out what the caller may not see: money, without the scope admin."""
    if not caller.may(Scope.ADMIN):
        for one in response.recognizers:
            response.spending_withheld |= one.HasField("spending")
            one.ClearField("spending")
    return response


class Pace:
    """How often callers call: as many calls at once as they may make in so many seconds, which then come back evenly.

    A caller may have several limits, by several lines of the register: those have paces of their own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, seconds: float = 1.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._full: dict[tuple[str, float], float] = {}
        self._most = _MIN_PACES

    def check(self, caller: Caller) -> None:
        """Count a call. Raises RateExceeded, which says when there is room for the next one."""
        rate = caller.calls_per_second
        if rate is None:
            return
        now = self._clock()
        full = max(now, self._full.get((caller.name, rate), now)) + 1 / rate
        if (wait := full - now - max(self._seconds, 1 / rate)) > _ROUNDING:
            raise RateExceeded(f"{caller.name} may make {rate:g} calls a second, and makes more.", retry_after=wait)
        self._full[caller.name, rate] = full
        if len(self._full) > self._most:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Forget who has called too long ago to matter: names may be addresses, of which there are many."""
        self._full = {key: full for key, full in self._full.items() if full > now}
        self._most = max(_MIN_PACES, 2 * len(self._full))


class _Metadata:
    """What a call says of itself."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        self._pairs = pairs

    def one(self, key: str) -> str | None:
        """Return the key's only value, None without one. Raises TokenInvalid for several."""
        values = [value for name, value in self._pairs if name == key]
        if len(values) > 1:
            raise TokenInvalid(f"The metadata has {key} more than once.")
        return str(values[0]) if values else None

    def token(self) -> str | None:
        """Return the bearer token, None without one. Raises TokenInvalid for another kind of credentials."""
        value = self.one("authorization")
        if value is None:
            return None
        match = _BEARER.fullmatch(value.strip())
        if match is None:
            raise TokenInvalid("The metadata's authorization is no Bearer TOKEN.")
        return match[1]


def _relayed(caller: Caller, metadata: _Metadata) -> Caller:
    """Return for whom the caller speaks, or the caller. Raises RelayForbidden."""
    name, budget = metadata.one(RELAY_KEY), metadata.one(RELAY_BUDGET_KEY)
    if name is None and budget is None:
        return caller
    if not caller.may(Scope.RELAY):
        raise RelayForbidden(f"{caller.name} lacks the scope relay: it may not send {RELAY_KEY}.")
    if not NAME.fullmatch(name or "") or not (budget is None or _MICRO_USD.fullmatch(budget)):
        raise RelayForbidden(f"{RELAY_KEY} or {RELAY_BUDGET_KEY} has no meaning.")
    return caller.speaking_for(str(name), None if budget is None else int(budget))


def _check_scope(caller: Caller, path: str) -> None:
    scope = TABLE.get(path)
    if scope is None:
        raise Forbidden("Nobody may use this method: it is in no list of scopes.")
    if not caller.may(scope):
        raise ScopeMissing(f"{caller.name} lacks the scope {scope}, which {path[1:]} needs.", scope=scope)


def _certificate_names(context: Context) -> Sequence[str]:
    return [name for certificate in context.auth_context().get("x509_pem_cert", ()) for name in names_of(certificate)]
