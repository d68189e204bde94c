"""A server is closed unless somebody opens it."""

import re

import pytest

from services.gateway.settings import GatewaySettings
from services.runtime.doors.settings import is_loopback
from services.runtime.settings import LeafSettings, load_settings


@pytest.mark.parametrize("kind", [LeafSettings, GatewaySettings])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "[::1]", "127.0.0.1.example.org"])
def test_off_loopback_a_server_wants_to_know_who_calls(
    kind: type[LeafSettings], host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without credentials to ask for it exits with 2, and names each setting that would mend it."""
    monkeypatch.setenv("MARQUEE_HOST", host)
    with pytest.raises(SystemExit) as caught:
        load_settings(kind)
    assert caught.value.code == 2
    assert set(re.findall("MARQUEE_[A-Z_]+[A-Z]", capsys.readouterr().err)) == {
        "MARQUEE_HOST",
        "MARQUEE_CALLERS",
        "MARQUEE_JWT_ISSUER",
        "MARQUEE_TLS_CLIENT_CA",
        "MARQUEE_ALLOW_ANONYMOUS",
    }


@pytest.mark.parametrize(
    "opening",
    [
        {"callers": "callers"},
        {"jwt_issuer": "https://issuer", "jwt_audience": "marquee"},
        {"tls_cert": "a", "tls_key": "b", "tls_client_ca": "c"},
        {"allow_anonymous": True},
    ],
)
def test_one_way_in_is_enough(opening: dict[str, object]) -> None:
    """A register, an issuer, client certificates, or the word that everybody may: each opens a server."""
    assert LeafSettings(host="0.0.0.0", **opening)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    """A server that only this machine can reach starts without any."""
    assert is_loopback(host)
    assert LeafSettings(host=host)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"tls_cert": "a"}, "MARQUEE_TLS_CERT and MARQUEE_TLS_KEY: set both"),
        ({"tls_key": "a"}, "MARQUEE_TLS_CERT and MARQUEE_TLS_KEY: set both"),
        ({"tls_client_ca": "a"}, "MARQUEE_TLS_CLIENT_CA: set MARQUEE_TLS_CERT"),
        ({"tls_client_scopes": "recognize,relay"}, "MARQUEE_TLS_CLIENT_SCOPES: relay"),
        ({"tls_client_scopes": "root"}, "tls_client_scopes"),
        ({"jwt_issuer": "https://issuer"}, "MARQUEE_JWT_AUDIENCE: set it"),
        ({"jwt_audience": "marquee"}, "MARQUEE_JWT_ISSUER: set it, too"),
        ({"jwt_jwks_url": "https://issuer/keys"}, "MARQUEE_JWT_ISSUER: set it, too"),
        ({"jwt_issuer": "http://issuer"}, "no https:// URL"),
        ({"jwt_issuer": "https:///issuer"}, "no https:// URL"),
        ({"jwt_issuer": "https://a:b@issuer"}, "no https:// URL with a user or a password"),
        ({"jwt_issuer": "http://localhost@issuer"}, "no https:// URL"),
        ({"jwt_jwks_url": "http://issuer"}, "no https:// URL"),
        ({"jwt_jwks_url": "file:///keys"}, "no https:// URL"),
        ({"jwt_algorithms": "HS256"}, "jwt_algorithms"),
        ({"jwt_algorithms": "RS256,none"}, "jwt_algorithms"),
        ({"jwt_algorithms": ""}, "jwt_algorithms"),
        ({"reflection": "on"}, "reflection"),
        ({"default_collection": "a b"}, "default_collection"),
    ],
)
def test_settings_that_would_open_by_mistake_are_refused(settings: dict[str, object], error: str) -> None:
    """Half a certificate, keys over HTTP, algorithms with which anybody could sign: the message names the setting."""
    with pytest.raises(ValueError, match=error):
        LeafSettings(**settings)
