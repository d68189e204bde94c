"""The page's site: which hosts it answers for, what other sites may not do with it, and where it leads visitors."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from services.runtime.doors.settings import is_loopback
from services.web.settings import WebSettings

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_OWN_SITES = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site with which a browser says that a page of ours asks, or the person at the keyboard."""
_PATH = re.compile(r"(/[A-Za-z0-9_~][A-Za-z0-9_.~-]*)*/?(\?[A-Za-z0-9_.~&=%+-]*)?")
_MAX_PATH = 512
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_YEAR_SECONDS = 31_536_000


class Site:
    """The page's address on the web."""

    def __init__(self, settings: WebSettings) -> None:
        self._url = settings.web_url
        public = urlsplit(settings.web_url or "http://localhost")
        self._netloc = None if is_loopback(str(public.hostname)) else public.netloc
        self._hosts = frozenset(settings.web_hosts)
        self._is_secure = public.scheme == "https"
        self._others = frozenset(settings.web_cors_origins)

    def serves(self, headers: Headers) -> bool:
        """Return whether the request is for this site, rather than for a name that leads here by mistake or malice."""
        hosts = [host.lower() for host in headers.getlist("host")]
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            return False
        if hosts[0] in self._hosts:
            return True
        if self._netloc is None:
            return is_loopback(match[1].strip("[]"))
        return hosts[0].removesuffix(":443" if self._is_secure else ":80") == self._netloc

    def url(self, scope: Scope) -> str:
        """Return the URL of the site's root, without a slash, as visitors reach it."""
        if self._url and self._netloc:
            return self._url
        return f"{'https' if self._is_secure else scope['scheme']}://{Headers(scope=scope)['host']}"

    def is_secure(self, scope: Scope) -> bool:
        """Return whether visitors come by HTTPS."""
        return self._is_secure or scope["scheme"] == "https"

    @property
    def is_https_only(self) -> bool:
        """Whether browsers shall never come by plaintext again: not to `localhost`, which is of other servers, too."""
        return self._is_secure and self._netloc is not None

    def is_asked_by_itself(self, scope: Scope, *, allows_others: bool) -> bool:
        """Return False if a browser says that a page of another site asks. Programs say nothing of that.

        Where others are allowed, those in MARQUEE_WEB_CORS_ORIGINS may, with an Authorization of their own.
        """
        headers = Headers(scope=scope)
        origins, sites = set(headers.getlist("origin")), set(headers.getlist("sec-fetch-site"))
        is_friend = len(origins) == 1 and bool({"*", *origins} & self._others) and "authorization" in headers
        return (allows_others and is_friend) or (sites <= _OWN_SITES and origins <= {self.url(scope)})


def safe_path(text: str) -> str:
    """Return the path, which may have a query, if it can only be one of this site; otherwise that of the first page."""
    is_safe = text.startswith("/") and len(text) <= _MAX_PATH and _PATH.fullmatch(text)
    return text if is_safe else "/"


def security_headers(nonce: str, *, is_page: bool, is_https_only: bool) -> Mapping[str, str]:
    """Return the headers of a response that has no others of these names.

    Only a page may load anything: scripts that carry its nonce, files of ours.
    """
    transport = {"Strict-Transport-Security": f"max-age={_YEAR_SECONDS}"} if is_https_only else {}
    return {**_HEADERS, **transport, "Content-Security-Policy": _of_page(nonce) if is_page else _NOTHING}


def _of_page(nonce: str) -> str:
    """Return the policy of a page. What a script with the nonce imports is loaded with its nonce."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}' 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types htmx"
    )
