"""JWTs of an OIDC issuer: checked with its keys, which are fetched, kept, and fetched again when they rotate.

Source: https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import Context
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR, socket
from threading import Timer
from typing import Any
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import structlog
from joserfc import errors, jwt
from joserfc.jwk import Key, KeySet, RSAKey, import_key

from services.runtime.doors.caller import Caller
from services.runtime.doors.certificates import read_ca
from services.runtime.doors.register import Register
from services.runtime.doors.scopes import Scope
from services.runtime.doors.settings import DoorSettings, check_url
from services.runtime.errors import DependencyUnavailable, TokenExpired, TokenInvalid

logger = structlog.get_logger()
_FRESH_SECONDS = 600.0
_RETRY_SECONDS = 30.0
"""Between two fetches at least: callers who make up key IDs must not make this server call the issuer."""
_FETCH_SECONDS = 5.0
_MAX_BYTES = 1024 * 1024
_MAX_CHARACTERS = 500
_LEEWAY_SECONDS = 30
_MAX_VERIFIED = 500
_FAULTS = {
    "iss": "it is from another issuer than MARQUEE_JWT_ISSUER",
    "aud": "it is for another audience than MARQUEE_JWT_AUDIENCE",
    "nbf": "it is not valid yet",
    "iat": "it was issued in the future: is a clock wrong?",
}
"""Claim → what is wrong with it."""
_KEY_TYPES = ("RSA", "EC", "OKP")
_MIN_RSA_BITS = 2048
"""By RFC 7518; shorter ones can be factored."""
_SCOPE_CLAIMS = ("scope", "scp", "roles")
_COLLECTIONS = "marquee_collections"
_CLAIMABLE = frozenset(Scope) - {Scope.RELAY}


class Issuer:
    """An OIDC issuer, whose keys are fetched when they are needed, and again in the background once they are old.

    Raises ValueError for a `jwt_ca` that vouches for nobody.
    """

    def __init__(self, settings: DoorSettings) -> None:
        self._issuer = settings.jwt_issuer or ""
        self._url = settings.jwt_jwks_url
        self._algorithms = settings.jwt_algorithms
        self._ca = settings.jwt_ca
        if self._ca:
            read_ca(self._ca)
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": settings.jwt_audience or ""},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._keys = KeySet([])
        self._verified: dict[str, dict[str, Any]] = {}
        self._fetching: asyncio.Task[None] | None = None
        self._begin = 0.0

    async def claims_of(self, token: str) -> dict[str, Any]:
        """Return what the JWT says; its `sub` is a text that is not empty.

        Raises TokenExpired, TokenInvalid, and DependencyUnavailable while there are no keys.
        """
        await self._find_keys(_kid(token))
        try:
            claims = self._signed(token)
            self._claims.validate(claims)
        except errors.ExpiredTokenError:
            raise TokenExpired("The JWT has expired. Get a new one from its issuer.") from None
        except errors.ClaimError as exc:
            fault = _FAULTS.get(exc.claim or "", f"it lacks a good {exc.claim}")
            raise TokenInvalid(f"The JWT is refused: {fault}.") from None
        except errors.BadSignatureError:
            raise TokenInvalid("The JWT is refused: its signature is not its issuer's.") from None
        except errors.JoseError as exc:
            raise TokenInvalid(f"The JWT is refused: {(exc.description or exc.error).rstrip('.')}.") from None
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            raise TokenInvalid("The JWT is refused: it is malformed.") from None
        return claims

    def _signed(self, token: str) -> dict[str, Any]:
        """Return what the JWT says once its signature is checked; callers send the same one many times."""
        if token not in self._verified:
            claims = jwt.decode(token, self._keys, algorithms=self._algorithms).claims
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            self._verified[token] = claims
        return self._verified[token]

    async def _find_keys(self, kid: str | None) -> None:
        """Wait for the key, if it is none of those known; no other call waits, whatever the issuer does.

        A JWT that names none may be of a new key: keys are old sooner.
        """
        if not self._keys or (kid is not None and all(key.kid != kid for key in self._keys)):
            await asyncio.shield(self._fetch())
        elif time.monotonic() - self._begin > (_RETRY_SECONDS if kid is None else _FRESH_SECONDS):
            self._fetch()
        if not self._keys:
            raise DependencyUnavailable("The keys of the JWT's issuer cannot be fetched. Try again later.")

    def _fetch(self) -> asyncio.Task[None]:
        """Return the fetch of the keys that is running, or was less than 30 s ago, else a new one."""
        now = time.monotonic()
        if self._fetching is None or (self._fetching.done() and now - self._begin >= _RETRY_SECONDS):
            self._begin = now
            self._fetching = asyncio.get_running_loop().create_task(self._renew(), context=Context())
        return self._fetching

    async def _renew(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._download)
            self._verified.clear()
        except Exception as exc:  # noqa: BLE001 - whatever an issuer sends, the keys that are there stay in use
            logger.warning("keys not fetched", issuer=self._issuer, error=str(exc), stale=bool(self._keys))

    def _download(self) -> KeySet:
        url = self._url or self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")["jwks_uri"]
        keys = [key for entry in self._get(url)["keys"] if (key := _key(entry))]
        if not keys:
            raise ValueError(f"{url} has no key that is fit for signatures")
        return KeySet(keys)

    def _get(self, url: str) -> Any:
        connections = _Connections(ssl.create_default_context(cafile=self._ca))
        try:
            with build_opener(connections, _Redirects).open(check_url(url), timeout=_FETCH_SECONDS) as response:
                return json.loads(response.read(_MAX_BYTES))  # the beginning of more is no JSON
        except (OSError, HTTPException, ValueError, RecursionError) as exc:
            raise ValueError(f"{url}: {str(exc)[:_MAX_CHARACTERS]}") from None


class _Connections(HTTPSHandler, HTTPHandler):
    """Connections that end in time, however slowly bytes drip in: urllib's own timeout begins anew with each."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(context=tls)
        self._tls = tls

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_Plain, req)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_Secure, req, context=self._tls)


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _end_in_time(self.sock)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _end_in_time(self.sock)


def _end_in_time(connection: socket) -> None:
    timer = Timer(_FETCH_SECONDS, _end, (connection,))
    timer.daemon = True
    timer.start()


def _end(connection: socket) -> None:
    with suppress(OSError):  # it has ended already
        connection.shutdown(SHUT_RDWR)


class _Redirects(HTTPRedirectHandler):
    """Redirects to addresses that could be settings, too: the way to the keys is HTTPS throughout."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - urllib's signature
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        return super().redirect_request(req, fp, code, msg, headers, check_url(newurl))


def _key(entry: Any) -> Key | None:
    """Return the key, None if it is symmetric, which anybody could sign with, too short, or of no known kind."""
    try:
        key = import_key(entry) if entry["kty"] in _KEY_TYPES else None
    except (errors.JoseError, LookupError, TypeError, ValueError):
        return None
    return None if isinstance(key, RSAKey) and key.public_key.key_size < _MIN_RSA_BITS else key


def _kid(token: str) -> str | None:
    """Return the ID of the key that the JWT names, if any. Raises TokenInvalid."""
    try:
        kid = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "==")).get("kid")
    except (ValueError, AttributeError, RecursionError):
        raise TokenInvalid("The token is no JWT: its header cannot be read.") from None
    return kid if isinstance(kid, str) else None


def claimed(claims: Mapping[str, Any], register: Register) -> Caller:
    """Return the caller whom the claims describe, who has no line in the register. Raises TokenInvalid.

    Scopes are words of `scope`, `scp` or `roles`, with or without "marquee:"; `marquee_collections` are collections.
    """
    claimed_scopes = {word.removeprefix("marquee:") for claim in _SCOPE_CLAIMS for word in words(claims.get(claim))}
    try:
        name = register.free_name(claims["sub"])
    except ValueError as exc:
        raise TokenInvalid(f"The JWT is refused for its sub: {exc}.") from None
    return Caller(
        name,
        frozenset(scope for scope in _CLAIMABLE if scope in claimed_scopes),
        frozenset(words(claims[_COLLECTIONS])) if _COLLECTIONS in claims else None,
    )


def words(claim: object) -> list[str]:
    """Return the words of a claim: a text with blanks, or a list; none of anything else."""
    if isinstance(claim, str):
        return claim.split()
    return [word for word in claim if isinstance(word, str)] if isinstance(claim, list) else []
