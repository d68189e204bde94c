"""The door of the page: middleware that tells who visits before anything else is done, and sets security headers."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from services.runtime import status
from services.runtime.doors import audit
from services.runtime.doors.caller import ANONYMOUS, Caller
from services.runtime.doors.watch import Watched
from services.runtime.errors import CredentialsMissing, DomainError, ForeignRequest, TokenInvalid, Unauthenticated
from services.runtime.server import bulkhead
from services.web.access import visit
from services.web.access.identity import Identities
from services.web.access.provider import Provider
from services.web.access.quota import Quota
from services.web.access.session import Session, Sessions
from services.web.access.site import Site, safe_path, security_headers
from services.web.access.visit import Visit
from services.web.assets import FIXED
from services.web.errors import is_api
from services.web.gateway import Gateway
from services.web.settings import WebSettings

Refuse: TypeAlias = Callable[[Request, Exception], Response]
SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
NOTICE = "notice"
"""Key of the session's word to whoever has to sign in again: why."""
_NONCE_BYTES = 16
_BEARER = re.compile(r"bearer +([!-~]{1,12288})", re.IGNORECASE)
"""gRPC carries these characters, and as many beside all else that the gateway is shown."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz"})
_FILES = frozenset({*FIXED, "/openapi.json"})
_MISDIRECTED = 421
_NOT_FOR_PAGES = "A page of another site asks for this. Open Marquee's own page."
_NOT_FOR_API = (
    "A page of another site asks for this. That takes its origin in MARQUEE_WEB_CORS_ORIGINS, and the header "
    "Authorization."
)


class Access:
    """What the door and the pages of signing in share. Raises ValueError and OSError for files that cannot be used."""

    def __init__(self, settings: WebSettings) -> None:
        self.site = Site(settings)
        self.sessions = Sessions(settings)
        self.identities = Identities(settings)
        self.quota = Quota(settings)
        self.provider = Provider(settings) if settings.oidc_issuer else None

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        secret = self.provider.files() if self.provider else ()
        return (*self.sessions.files(), *self.identities.files(), *secret)


class Door:
    """Middleware around the whole application. `refuse` makes the answer to a request that is not let in."""

    def __init__(
        self, app: ASGIApp, *, settings: WebSettings, gateway: Gateway, access: Access, refuse: Refuse
    ) -> None:
        self._app = app
        self._settings = settings
        self._gateway = gateway
        self._access = access
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, and its response out."""
        if scope["type"] != "http" or (scope["path"] in _PROBES and scope["method"] in {"GET", "HEAD"}):
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        is_secure, is_https_only = self._access.site.is_secure(scope), self._access.site.is_https_only
        session, kept = self._session(Request(scope), is_secure=is_secure)
        scope["session"] = session

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                is_page = headers.get("content-type", "").startswith("text/html")
                for name, value in security_headers(nonce, is_page=is_page, is_https_only=is_https_only).items():
                    headers.setdefault(name, value)
                if foreign is None and self._is_to_keep(session, kept, is_page=is_page):
                    headers.append("Set-Cookie", self._access.sessions.cookie(session, is_secure=is_secure))
            await send(message)

        visit.enter(Visit(None, "", (), nonce, session.csrf_token, is_confirmed=False))
        foreign = self._refuse_foreign(Request(scope))
        app = foreign or self._answer(Request(scope), session) or self._app
        await app(scope, receive, send_safely)

    def _session(self, request: Request, *, is_secure: bool) -> tuple[Session, Session | None]:
        """Return the session, perhaps a new one, and as it was when the browser sent it."""
        cookie = "; ".join(request.headers.getlist("cookie"))
        session = self._access.sessions.read(cookie, is_secure=is_secure)
        if session is None:
            return self._access.sessions.begin(), None
        return session, Session(session)

    def _is_to_keep(self, session: Session, kept: Session | None, *, is_page: bool) -> bool:
        """Return whether the browser needs the session: with a page, for its forms; else if signing in or out did it.

        Files, which caches share, carry none.
        """
        if is_page:
            self._access.sessions.renew(session)
        is_blank = session.is_blank and (kept is None or kept.is_blank)
        return session != kept and (is_page or not is_blank)

    def _refuse_foreign(self, request: Request) -> Response | None:
        """Return the answer to what another site makes a browser ask; None: it does not.

        The browser then shows no cookie, and must get none: a new session would take the place of the visitor's.
        """
        try:
            self._check_origin(request)
        except (DomainError, HTTPException) as exc:
            return self._refuse(request, exc)
        return None

    def _answer(self, request: Request, session: Session) -> Response | None:
        """Return the answer to who is not let in; None: they are, or it is a file, which is the same for everybody."""
        path = request.scope["path"]
        try:
            if _is_file(path):
                return None
            if is_api(path):
                self._admit_program(request, session)
            else:
                self._admit_person(request, session)
        except (DomainError, HTTPException) as exc:
            if isinstance(exc, Unauthenticated) and _shows_page(request):
                return RedirectResponse(_sign_in_for(request), 303)
            return self._refuse(request, exc)
        return None

    def _check_origin(self, request: Request) -> None:
        """Raise HTTPException for a host that is not ours, and ForeignRequest for what another site asks for."""
        site, path = self._access.site, request.scope["path"]
        if not site.serves(request.headers):
            raise HTTPException(
                _MISDIRECTED, "The page is not served under this name. MARQUEE_WEB_URL says which it is."
            )
        is_harmless = request.method in _SAFE_METHODS and (_is_file(path) or not is_api(path))
        if not is_harmless and not site.is_asked_by_itself(request.scope, allows_others=is_api(path)):
            raise ForeignRequest(_NOT_FOR_API if is_api(path) else _NOT_FOR_PAGES)

    def _admit_program(self, request: Request, session: Session) -> None:
        """Enter a visit of the API. Raises Unauthenticated."""
        authorization = request.headers.getlist("authorization")
        if authorization:
            self._admit_token(request, session, authorization)
        elif _has_token(request):
            self._enter(request, session, self._caller(session), is_confirmed=True)
        else:
            self._enter(request, session, None, is_confirmed=True)
        priority = bulkhead.lowered(request.headers.items())
        visit.enter(replace(visit.current(), metadata=(*visit.current().metadata, *priority)))

    def _admit_token(self, request: Request, session: Session, values: Sequence[str]) -> None:
        """Enter the visit of whoever shows a token, which the gateway gets unchanged. Raises Unauthenticated."""
        match = _BEARER.fullmatch(values[0])
        if len(values) != 1 or match is None or not values[0].isascii():
            raise TokenInvalid("The header Authorization has to be Bearer TOKEN, of at most 12 KiB.")
        if self._is_token_for_gateway:
            visit.enter(replace(visit.current(), is_confirmed=True))
        elif self._settings.callers:
            identities = self._access.identities
            self._enter(request, session, identities.caller(identities.of_token(match[1])), is_confirmed=True)
        else:
            raise TokenInvalid("This page takes no tokens: whoever runs it has to set MARQUEE_CALLERS.")
        visit.enter(replace(visit.current(), metadata=(("authorization", values[0]),)))

    @property
    def _is_token_for_gateway(self) -> bool:
        """Whether the gateway surely looks at tokens, as one does that takes the page's own, or none is needed.

        One that is open, or knows callers by their certificates, looks at no token: anything would pass for one.
        """
        is_open = not self._settings.is_closed and not self._settings.web_gateway_cert
        return is_open or self._settings.web_gateway_token_file is not None

    def _admit_person(self, request: Request, session: Session) -> None:
        """Enter a visit of a page. Raises Unauthenticated."""
        caller = self._caller(session)
        if caller is None and _is_for_signing_in(request.scope["path"]):
            return
        is_confirmed = request.method in _SAFE_METHODS or _has_token(request)
        self._enter(request, session, caller, is_confirmed=is_confirmed)

    def _enter(self, request: Request, session: Session, caller: Caller | None, *, is_confirmed: bool) -> None:
        """Enter the visit of the caller, or of anybody where everybody may come in. Raises CredentialsMissing."""
        if caller is None and self._settings.is_closed:
            raise CredentialsMissing("Sign in, or send the header Authorization: Bearer TOKEN.")
        known = caller or ANONYMOUS
        bind_contextvars(caller=known.name)
        visit.enter(
            Visit(
                known,
                str((session.identity or {}).get("name", caller.name)) if caller else "",
                self._gateway.relaying(known),
                visit.current().nonce,
                session.csrf_token,
                self._settings.default_collection,
                is_confirmed,
                self._access.quota.counter(known, address_of(request)),
            )
        )

    def _caller(self, session: Session) -> Caller | None:
        """Return who has signed in. A session ends with the right to it."""
        if session.identity is None:
            return None
        try:
            return self._access.identities.caller(session.identity)
        except DomainError as exc:
            audit.record("session ended", reason=status.TABLE[type(exc)][1], error=exc.message)
            self._access.sessions.replace(session)
            session[NOTICE] = exc.message
            return None


def address_of(request: Request) -> str:
    """Return where a visitor comes from, as far as trusted proxies say."""
    return request.client.host if request.client else ""


def _is_file(path: str) -> bool:
    return path in _FILES or path.startswith("/static/")


def _is_for_signing_in(path: str) -> bool:
    return path in {SIGN_IN, SIGN_OUT} or path.startswith(f"{SIGN_IN}/")


def _has_token(request: Request) -> bool:
    return visit.is_token(request.headers.get("x-csrf-token"))


def _shows_page(request: Request) -> bool:
    """Return whether a browser goes to the address, rather than a script fetching a part of a page."""
    is_fetched = is_api(request.scope["path"]) or "hx-request" in request.headers
    return request.method in {"GET", "HEAD"} and not is_fetched


def _sign_in_for(request: Request) -> str:
    """Return the address of signing in, which leads back to where the request goes."""
    query = f"?{request.url.query}" if request.url.query else ""
    path = safe_path(request.scope["path"] + query)
    return SIGN_IN if path == "/" else f"{SIGN_IN}?next={quote(path, safe='/')}"
