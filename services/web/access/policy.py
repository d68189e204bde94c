"""What browsers are told to forbid: Content-Security-Policy and its kind."""

from collections.abc import Mapping

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_YEAR_SECONDS = 31_536_000


def headers(nonce: str, *, is_page: bool, is_secure: bool) -> Mapping[str, str]:
    """Return the headers of a response. Only a page may load anything: scripts that carry its nonce, files of ours."""
    transport = {"Strict-Transport-Security": f"max-age={_YEAR_SECONDS}"} if is_secure else {}
    return {**_HEADERS, **transport, "Content-Security-Policy": _of_page(nonce) if is_page else _NOTHING}


def _of_page(nonce: str) -> str:
    """Return the policy of a page. What a script with the nonce imports is loaded with its nonce."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}' 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types htmx"
    )
