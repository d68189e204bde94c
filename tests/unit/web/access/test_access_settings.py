"""Which settings of who may visit a page does not start with."""

from pathlib import Path

import pytest

from services.runtime.settings import load_settings
from services.web.access.door import Access
from services.web.settings import WebSettings

OFF = {"host": "0.0.0.0"}
URL = {"web_url": "https://marquee.example"}
ISSUER = {"oidc_issuer": "https://issuer.example", "oidc_client_id": "page"}
REFUSED: list[tuple[dict[str, str], str]] = [
    (OFF, "MARQUEE_CALLERS or MARQUEE_OIDC_ISSUER"),
    (OFF | URL, "MARQUEE_ALLOW_ANONYMOUS=true"),
    (OFF | {"allow_anonymous": "true"}, "MARQUEE_WEB_URL"),
    (OFF | {"callers": "callers"}, "MARQUEE_WEB_URL"),
    (OFF | ISSUER, "MARQUEE_WEB_URL"),
    (OFF | {"callers": "callers", "web_url": "http://marquee.example"}, "MARQUEE_WEB_URL"),
    ({"oidc_issuer": "https://issuer.example"}, "MARQUEE_OIDC_CLIENT_ID"),
    ({"oidc_client_id": "page"}, "MARQUEE_OIDC_ISSUER"),
    (ISSUER | {"oidc_issuer": "http://issuer.example"}, "MARQUEE_OIDC_ISSUER"),
    (ISSUER | {"oidc_issuer": "https://a:b@issuer.example"}, "MARQUEE_OIDC_ISSUER"),
    (ISSUER | {"oidc_scopes": "profile"}, "MARQUEE_OIDC_SCOPES"),
    (ISSUER | {"oidc_default_role": "root"}, "MARQUEE_OIDC_DEFAULT_ROLE"),
    ({"web_url": "https://marquee.example/page"}, "MARQUEE_WEB_URL"),
    ({"web_url": "marquee.example"}, "MARQUEE_WEB_URL"),
    ({"web_url": "https://marquee.example:port"}, "MARQUEE_WEB_URL"),
    ({"web_url": "javascript://marquee.example"}, "MARQUEE_WEB_URL"),
    ({"web_hosts": "a b"}, "MARQUEE_WEB_HOSTS"),
    ({"web_trusted_proxies": "*"}, "MARQUEE_WEB_TRUSTED_PROXIES"),
    ({"web_trusted_proxies": "10.0.0.0/99"}, "MARQUEE_WEB_TRUSTED_PROXIES"),
    ({"web_session_hours": "0"}, "MARQUEE_WEB_SESSION_HOURS"),
    ({"web_pictures_per_minute": "0"}, "MARQUEE_WEB_PICTURES_PER_MINUTE"),
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take away what the tests' own environment sets."""
    for name in WebSettings.model_fields:
        monkeypatch.delenv(f"MARQUEE_{name.upper()}", raising=False)
    return monkeypatch


@pytest.mark.parametrize(("given", "named"), REFUSED)
def test_a_page_that_could_be_misused_does_not_start(
    given: dict[str, str], named: str, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It exits with 2 and names what to set."""
    for name, value in given.items():
        environment.setenv(f"MARQUEE_{name.upper()}", value)
    with pytest.raises(SystemExit) as ended:
        load_settings(WebSettings)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert named in shown
    assert "a:b@" not in shown


ALLOWED: list[dict[str, str]] = [
    {},
    {"callers": "callers"},
    OFF | URL | {"callers": "callers"},
    OFF | URL | ISSUER,
    OFF | {"allow_anonymous": "true", "web_url": "http://marquee.example"},
    OFF | {"callers": "callers", "web_url": "http://localhost:8080"},
    ISSUER | {"oidc_issuer": "http://localhost:9000"},
    {"web_trusted_proxies": "10.0.0.0/8, 192.168.1.1"},
    {"web_url": "https://[2001:db8::1]:8443/"},
]


@pytest.mark.parametrize("given", ALLOWED)
def test_what_is_safe_is_accepted(given: dict[str, str], environment: pytest.MonkeyPatch) -> None:
    """On loopback nothing is needed; elsewhere a way to sign in, or the word that none is, and the public URL."""
    for name, value in given.items():
        environment.setenv(f"MARQUEE_{name.upper()}", value)
    assert load_settings(WebSettings)


@pytest.mark.parametrize(
    ("setting", "content"),
    [
        ("callers", "nonsense"),
        ("web_session_key_file", "short"),
        ("web_session_key_file", ""),
        ("oidc_client_secret_file", ""),
        ("oidc_ca", "no certificate"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(setting: str, content: str, tmp_path: Path) -> None:
    """Each is checked at the start; what is wrong is said with the file's name, and without its content."""
    file = tmp_path / "file"
    file.write_text(content)
    with pytest.raises(ValueError, match=str(file)) as caught:
        Access(WebSettings(**ISSUER | {setting: file}))
    assert not content or setting == "callers" or content not in str(caught.value).replace("no certificate in PEM", "")
