"""JWTs of an OIDC issuer: checked with its keys, which are fetched, kept, and fetched again when they rotate.

Source: https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import asyncio
import base64
import json
import ssl
import time
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import structlog
from joserfc import errors, jwt
from joserfc.jwk import KeySet

from services.runtime.doors.caller import Caller
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
_LEEWAY_SECONDS = 30
_FAULTS = {
    "iss": "it is from another issuer than MARQUEE_JWT_ISSUER",
    "aud": "it is for another audience than MARQUEE_JWT_AUDIENCE",
    "nbf": "it is not valid yet",
}
"""Claim → what is wrong with it."""
_CLAIMABLE = frozenset(Scope) - {Scope.RELAY}
_NAME_CHARACTERS = "@:/+-._|~"
_MAX_NAME = 128


class Issuer:
    """An OIDC issuer, and who its JWTs say is calling."""

    def __init__(self, settings: DoorSettings) -> None:
        self._issuer = settings.jwt_issuer or ""
        self._url = settings.jwt_jwks_url
        self._algorithms = settings.jwt_algorithms
        self._ca = settings.jwt_ca
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": settings.jwt_audience or ""},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._keys: KeySet | None = None
        self._fetched = self._tried = -_FRESH_SECONDS
        self._fetching = asyncio.Lock()

    async def caller_of(self, token: str, register: Register) -> Caller:
        """Return who calls: whom the register names for the subject, else what the claims say.

        Raises TokenExpired, TokenInvalid, and DependencyUnavailable while there are no keys.
        """
        claims = self._checked(token, await self._keys_for(token))
        return register.caller_of_subject(claims["sub"]) or _claimed(claims)

    def _checked(self, token: str, keys: KeySet) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, keys, algorithms=self._algorithms).claims
            self._claims.validate(claims)
        except errors.ExpiredTokenError:
            raise TokenExpired("The JWT has expired. Get a new one from its issuer.") from None
        except errors.ClaimError as exc:
            fault = _FAULTS.get(exc.claim or "", f"it lacks a good {exc.claim}")
            raise TokenInvalid(f"The JWT is refused: {fault}.") from None
        except errors.BadSignatureError:
            raise TokenInvalid("The JWT is refused: its signature is not its issuer's.") from None
        except (errors.JoseError, ValueError, TypeError, KeyError) as exc:
            raise TokenInvalid(f"The JWT is refused: {getattr(exc, 'description', None) or exc}.") from None
        return claims

    async def _keys_for(self, token: str) -> KeySet:
        """Return the issuer's keys, fetched again if they are old or lack the JWT's; old ones if that fails."""
        now, keys = time.monotonic(), self._keys
        kid = _kid(token)
        is_unknown = keys is None or (kid is not None and all(key.kid != kid for key in keys))
        if is_unknown or now - self._fetched > _FRESH_SECONDS:
            await self._refresh()
        if self._keys is None:
            raise DependencyUnavailable("The keys of the JWT's issuer cannot be fetched. Try again later.")
        return self._keys

    async def _refresh(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._tried < _RETRY_SECONDS:
                return
            self._tried = time.monotonic()
            try:
                self._keys = await asyncio.to_thread(self._fetch)
                self._fetched = time.monotonic()
            except (OSError, ValueError, errors.JoseError) as exc:
                logger.warning("keys not fetched", issuer=self._issuer, error=str(exc), stale=self._keys is not None)

    def _fetch(self) -> KeySet:
        url = self._url or self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")["jwks_uri"]
        return KeySet.import_key_set(self._get(url))

    def _get(self, url: str) -> Any:
        context = ssl.create_default_context(cafile=self._ca) if url.startswith("https:") else None
        with urllib.request.urlopen(check_url(url), timeout=_FETCH_SECONDS, context=context) as response:  # noqa: S310 - checked
            check_url(response.url)  # it may have been redirected
            return json.loads(response.read(_MAX_BYTES))


def _kid(token: str) -> str | None:
    """Return the ID of the key that the JWT names, if any. Raises TokenInvalid."""
    try:
        header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
        kid = header.get("kid")
    except (ValueError, AttributeError, RecursionError):
        raise TokenInvalid("The token is no JWT: its header cannot be read.") from None
    return kid if isinstance(kid, str) else None


def _claimed(claims: Mapping[str, Any]) -> Caller:
    """Return the caller that the claims describe: `scope` or `scp`, with or without "marquee:", and collections."""
    words = {word.removeprefix("marquee:") for claim in ("scope", "scp") for word in _words(claims.get(claim))}
    collections = claims.get("marquee_collections")
    return Caller(
        quote(str(claims["sub"]), safe=_NAME_CHARACTERS)[:_MAX_NAME],
        frozenset(scope for scope in _CLAIMABLE if scope in words),
        None if collections is None else frozenset(_words(collections)),
    )


def _words(claim: object) -> list[str]:
    """Return the words of a claim: a text with blanks, or a list."""
    if isinstance(claim, str):
        return claim.split()
    return [word for word in claim if isinstance(word, str)] if isinstance(claim, list) else []
