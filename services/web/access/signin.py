"""Signing in and out: the page, its form, and the way to the issuer and back."""

from collections.abc import Sequence

from prometheus_client import Counter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from structlog.contextvars import bind_contextvars

from services.runtime import status
from services.runtime.doors import audit
from services.runtime.errors import CredentialsMissing, DomainError, Forbidden, NotOffered
from services.web import errors
from services.web.access import visit
from services.web.access.door import NOTICE, SIGN_IN, SIGN_OUT, Access, address_of
from services.web.access.provider import Provider
from services.web.access.session import Identity
from services.web.access.site import safe_path
from services.web.pages.render import Renderer
from services.web.settings import WebSettings
from services.web.uploads import read_form

_CALLBACK = f"{SIGN_IN}/callback"
_NEXT = "next"
_MAX_TOKEN_CHARACTERS = 4096
_sign_ins = Counter("marquee_sign_ins", "Total attempts to sign in, by outcome.", ("outcome",))
_signed_in, _refused_sign_in = (_sign_ins.labels(outcome) for outcome in ("ok", "refused"))
"""From 0 on, so that Prometheus sees the first one, too."""


class SignInPage:
    """The page on which visitors say who they are."""

    def __init__(self, settings: WebSettings, access: Access, renderer: Renderer) -> None:
        self._settings = settings
        self._access = access
        self._renderer = renderer

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return (
            Route(SIGN_IN, self.show, methods=["GET"]),
            Route(SIGN_IN, self.take_token, methods=["POST"]),
            Route(f"{SIGN_IN}/issuer", self.leave, methods=["GET"]),
            Route(_CALLBACK, self.come_back, methods=["GET"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Answer GET /sign-in."""
        path = safe_path(request.query_params.get(_NEXT, ""))
        if visit.current().is_signed_in or not self._settings.has_sign_in:
            return RedirectResponse(path, 303)
        return self._page(path, error=request.session.pop(NOTICE, ""))

    async def take_token(self, request: Request) -> Response:
        """Answer POST /sign-in, the form with a token."""
        async with read_form(request) as form:
            path = safe_path(_text(form, _NEXT))
            token = _text(form, "token").strip()[:_MAX_TOKEN_CHARACTERS]
        try:
            self._access.quota.attempt(address_of(request))
            if not token:
                raise CredentialsMissing("Enter your token.")
            return self._sign_in(request, self._access.identities.of_token(token), path)
        except DomainError as exc:
            return self._refused(request, exc, path)

    async def leave(self, request: Request) -> Response:
        """Answer GET /sign-in/issuer with the way there."""
        path = safe_path(request.query_params.get(_NEXT, ""))
        try:
            self._access.quota.attempt(address_of(request))
            response = await self._issuer.begin(request, f"{self._access.site.url(request.scope)}{_CALLBACK}")
        except DomainError as exc:
            return self._refused(request, exc, path)
        request.session[_NEXT] = path
        return response

    async def come_back(self, request: Request) -> Response:
        """Answer GET /sign-in/callback, where the issuer sends visitors."""
        path = safe_path(str(request.session.pop(_NEXT, "")))
        try:
            claims = await self._issuer.finish(request)
            return self._sign_in(request, self._access.identities.of_claims(claims), path)
        except DomainError as exc:
            return self._refused(request, exc, path)

    async def sign_out(self, request: Request) -> Response:
        """Answer POST /sign-out."""
        async with read_form(request):
            caller = visit.current().caller
        if caller is not None and visit.current().is_signed_in:
            self._access.sessions.replace(request.scope["session"])
            audit.record("signed out")
        return RedirectResponse(SIGN_IN if self._settings.is_closed else "/", 303)

    @property
    def _issuer(self) -> Provider:
        if self._access.provider is None:
            raise NotOffered("This Marquee has no issuer to sign in with.")
        return self._access.provider

    def _sign_in(self, request: Request, identity: Identity, path: str) -> Response:
        """Make the session the visitor's, and none that was there before. Raises Forbidden."""
        try:
            self._access.sessions.replace(request.scope["session"], identity)
        except ValueError as exc:
            raise Forbidden(f"You cannot be let in: {exc}.") from None
        bind_contextvars(caller=self._access.identities.caller(identity).name)
        audit.record("signed in")
        _signed_in.inc()
        return RedirectResponse(path, 303)

    def _refused(self, request: Request, exc: DomainError, path: str) -> Response:
        reason = status.TABLE[type(exc)][1]
        _refused_sign_in.inc()
        audit.refusal("sign-in", reason, exc.message)
        response = self._page(path, errors.http_status(exc), exc.message, is_token_wrong=request.method == "POST")
        response.headers.update(errors.headers_of(exc))
        return response

    def _page(self, path: str, code: int = 200, error: str = "", *, is_token_wrong: bool = False) -> Response:
        return self._renderer.page(
            "signin.html",
            code,
            error=error,
            is_token_wrong=is_token_wrong,
            next=path,
            takes_tokens=bool(self._settings.callers),
            issuer=self._settings.oidc_issuer or "",
        )


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
