"""Sessions: what a browser keeps between two requests, in a signed cookie."""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import cookie_parser

from services.runtime.doors.watch import MIN_KEY_CHARACTERS, Watched, watched_keys
from services.web.settings import WebSettings

_RANDOM_BYTES = 16
_MAX_COOKIE_BYTES = 3800
"""Browsers drop cookies of more than 4096 bytes, name and attributes included."""
_MAX_ENDED = 10_000
_ID, _CSRF, _UNTIL, _WHO = "id", "csrf", "until", "who"
Identity: TypeAlias = dict[str, Any]
"""Who has signed in, as JSON; see `identity`."""


class Session(dict[str, Any]):
    """What a visitor's browser keeps. Visitors can read it, but not change it."""

    @property
    def csrf_token(self) -> str:
        """What forms of the page send back."""
        return str(self[_CSRF])

    @property
    def identity(self) -> Identity | None:
        """Who has signed in; None: nobody."""
        return self.get(_WHO)

    @property
    def is_blank(self) -> bool:
        """Whether nothing is lost without it but the right to send a form."""
        return self.keys() <= {_ID, _CSRF, _UNTIL}


class Sessions:
    """All sessions. Raises ValueError and OSError for a file of keys that cannot be used."""

    def __init__(self, settings: WebSettings, clock: Callable[[], float] = time.time) -> None:
        path = settings.web_session_key_file
        self._keys = watched_keys("session keys", path) if path else None
        self._own = (secrets.token_urlsafe(MIN_KEY_CHARACTERS),)
        self._seconds = settings.web_session_hours * 3600
        self._name = f"marquee-{settings.web_port}"
        self._clock = clock
        self._ended: dict[str, float] = {}

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return () if self._keys is None else (self._keys,)

    def read(self, cookie: str, *, is_secure: bool) -> Session | None:
        """Return the session in the header Cookie; None if there is none, or it is forged, too old or has ended."""
        try:
            session = Session(self._serializer().loads(cookie_parser(cookie)[self._cookie_name(is_secure=is_secure)]))
        except (BadData, KeyError):
            return None
        is_whole = {_ID, _CSRF, _UNTIL} <= session.keys() and session[_ID] not in self._ended
        return session if is_whole and session[_UNTIL] > self._clock() else None

    def begin(self, identity: Identity | None = None) -> Session:
        """Return a new session, of the visitor who has just signed in, or of nobody."""
        until = int(self._clock() + self._seconds)
        session = Session({_ID: _random(), _CSRF: _random(), _UNTIL: until})
        return session if identity is None else Session(session | {_WHO: identity})

    def renew(self, session: Session) -> None:
        """Let the session of a visitor who has not signed in last as a new one does."""
        if session.identity is None and session[_UNTIL] - self._clock() < self._seconds / 2:
            session[_UNTIL] = int(self._clock() + self._seconds)

    def replace(self, session: Session, identity: Identity | None = None) -> None:
        """Make it a new session, and end the old one, here. Raises ValueError if the browser could not keep the new."""
        new = self.begin(identity)
        if len(self._serializer().dumps(new)) > _MAX_COOKIE_BYTES:
            raise ValueError("the issuer says more of them than a browser keeps; let it name fewer collections")
        self._end(session)
        session.clear()
        session.update(new)

    def cookie(self, session: Session, *, is_secure: bool) -> str:
        """Return the header Set-Cookie that makes the browser keep the session."""
        age = max(0, int(session[_UNTIL] - self._clock()))
        security = "; Secure" if is_secure else ""
        value = self._serializer().dumps(dict(session))
        return (
            f"{self._cookie_name(is_secure=is_secure)}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{security}"
        )

    def _cookie_name(self, *, is_secure: bool) -> str:
        return "__Host-marquee" if is_secure else self._name

    def _serializer(self) -> URLSafeSerializer:
        keys = self._keys.value if self._keys else self._own
        options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(list(reversed(keys)), salt="marquee session", signer_kwargs=options)

    def _end(self, session: Session) -> None:
        """Believe the session no more, though its cookie may have been copied. Of too many the oldest are believed."""
        now = self._clock()
        self._ended[session[_ID]] = session[_UNTIL]
        if len(self._ended) > _MAX_ENDED:
            alive = [(name, until) for name, until in self._ended.items() if until > now]
            self._ended = dict(alive[-_MAX_ENDED // 2 :])


def _random() -> str:
    return secrets.token_urlsafe(_RANDOM_BYTES)
