"""The OIDC provider: who signs in there, by its authorization code flow with PKCE, state and nonce.

Source: https://openid.net/specs/openid-connect-core-1_0.html
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client.errors import MismatchingStateError
from authlib.integrations.starlette_client import OAuthError, StarletteIntegration, StarletteOAuth2App
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from services.runtime.doors.certificates import read_ca
from services.runtime.doors.credentials import watched_token
from services.runtime.doors.settings import check_url
from services.runtime.doors.watch import Watched
from services.runtime.errors import DependencyUnavailable, Forbidden, TokenInvalid
from services.web.access.identity import claim
from services.web.settings import WebSettings

logger = structlog.get_logger()
_SECONDS = 10.0
_FRESH_SECONDS = 600.0
_LEEWAY_SECONDS = 30
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
_METHODS = "token_endpoint_auth_methods_supported"
_NAME = "marquee"
_MAX_CHARACTERS = 300
_MAX_BYTES = 1024 * 1024
"""Most of an answer."""


class Provider:
    """The issuer as the page's visitors use it.

    Raises ValueError and OSError for a file of the client's secret, or of the CA, that cannot be used.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._issuer = settings.oidc_issuer or ""
        path = settings.oidc_client_secret_file
        self._secret = watched_token(path) if path else None
        if settings.oidc_ca:
            read_ca(settings.oidc_ca)
        self._app: _App | None = None
        self._until = 0.0

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return () if self._secret is None else (self._secret,)

    async def begin(self, request: Request, redirect_uri: str) -> Response:
        """Return the redirect to the issuer, and note in the session what has to come back.

        Raises DependencyUnavailable and TokenInvalid.
        """
        async with self._asked() as app:
            response: Response = await app.authorize_redirect(request, redirect_uri)
            return response

    async def finish(self, request: Request) -> Mapping[str, Any]:
        """Return the claims of whoever comes back from the issuer; their `sub` is a text.

        Raises DependencyUnavailable, Forbidden if they were not let through there, and TokenInvalid for all else.
        """
        async with self._asked() as app:
            token = await app.authorize_access_token(request, leeway=_LEEWAY_SECONDS, claims_options=self._expected())
            claims = dict(token["userinfo"])
            if claim(claims, self._settings.oidc_roles_claim) is None and "userinfo_endpoint" in app.server_metadata:
                more = await app.userinfo(token=token)
                if more["sub"] != claims["sub"]:
                    raise ValueError("userinfo is of another sub")
                claims = {**more, **claims}
            if not (isinstance(claims["sub"], str) and claims["sub"].strip()):
                raise ValueError("sub is no text, or empty")
            return claims

    def _expected(self) -> dict[str, Any]:
        return {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._settings.oidc_client_id},
            "exp": {"essential": True},
        }

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator["_App"]:
        """Yield the client. What it raises becomes an error in words, without any of the issuer's."""
        try:
            async with asyncio.timeout(_SECONDS):
                yield await self._client()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as exc:  # TimeoutError is one of the latter
            self._log(exc)
            raise DependencyUnavailable("The sign-in service cannot be reached. Try again in a moment.") from None
        except MismatchingStateError:
            raise TokenInvalid("This sign-in is too old, was used before, or began in another browser.") from None
        except OAuthError as exc:
            self._log(exc)
            if exc.error == "access_denied":
                raise Forbidden("The sign-in service did not let you through.") from None
            raise TokenInvalid("The sign-in service refused. Try again; if it stays so, tell who runs this.") from None
        except (AuthlibBaseError, JoseError, LookupError, RuntimeError, TypeError, ValueError, AttributeError) as exc:
            self._log(exc)
            raise TokenInvalid("The sign-in service's answer is not to be trusted. Nobody was signed in.") from None

    def _log(self, exc: Exception) -> None:
        text = f"{type(exc).__name__}: {exc}"[:_MAX_CHARACTERS]
        logger.warning("sign-in failed at the issuer", issuer=self._issuer, error=text)

    async def _client(self) -> "_App":
        """Return a client whose knowledge of the issuer, its endpoints and keys, is fresh."""
        secret = self._secret.value if self._secret else None
        if self._app is None or time.monotonic() > self._until or self._app.client_secret != secret:
            app = _App(self._settings, secret)
            await app.load_server_metadata()
            self._app, self._until = app, time.monotonic() + _FRESH_SECONDS
        return self._app


class _App(StarletteOAuth2App):  # type: ignore[misc] # Authlib has no types
    """Authlib's client of one issuer, which believes no more of its metadata than is needed."""

    def __init__(self, settings: WebSettings, secret: str | None) -> None:
        self._issuer = settings.oidc_issuer or ""
        super().__init__(
            StarletteIntegration(_NAME),
            name=_NAME,
            client_id=settings.oidc_client_id,
            client_secret=secret,
            server_metadata_url=f"{self._issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(settings.oidc_scopes),
                "code_challenge_method": "S256",
                "timeout": _SECONDS / 2,
                "verify": ssl.create_default_context(cafile=settings.oidc_ca),
                "follow_redirects": False,
                "headers": {"Accept-Encoding": "identity"},
                "event_hooks": {"response": [_bound]},
            },
        )

    async def load_server_metadata(self) -> dict[str, Any]:
        """Return the metadata. Raises ValueError for another issuer's, and for endpoints that are not HTTPS."""
        if "_loaded_at" in self.server_metadata:
            return self.server_metadata
        metadata: dict[str, Any] = await super().load_server_metadata()
        if metadata["issuer"] != self._issuer:
            raise ValueError("the metadata is of another issuer")
        # Authlib gives all of it to the client as options: "verify" would be one of them.
        own: dict[str, Any] = {name: check_url(metadata[name]) for name in _ENDPOINTS if name in metadata}
        methods = metadata.get(_METHODS) or ["client_secret_basic"]
        if self.client_secret:
            basic = "client_secret_basic" in methods
            own["token_endpoint_auth_method"] = "client_secret_basic" if basic else "client_secret_post"
        own |= {"_loaded_at": metadata["_loaded_at"], "id_token_signing_alg_values_supported": list(_ALGORITHMS)}
        self.server_metadata: dict[str, Any] = own
        return own


async def _bound(response: httpx2.Response) -> None:
    """Let no more of the answer be read than has room. Raises ValueError for one that would grow in reading."""
    if "content-encoding" in response.headers:
        raise ValueError("the answer is compressed, which was not asked for")
    response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """An answer's body, which breaks off where it is too large."""

    def __init__(self, body: Any) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._body:
            size += len(piece)
            if size > _MAX_BYTES:
                raise ValueError("the answer is too large")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()
