"""Signing in by an OIDC issuer: one that does what it should, and some that do not."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.support.doors import DISCOVERY, Authority, Issuer, hmac_jwt, issuer, line, oidc_provider
from tests.support.servers import Scripted, nobody
from tests.support.web import Page, csrf_token, page, recognizing, sign_in, web

CLIENT = "marquee-page"
ADA = {"name": "Ada <Lovelace>", "roles": ["marquee-editors"], "marquee_collections": "staff guests"}


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[str]:
    async with recognizing(Scripted("svm")) as address:
        yield address


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Issuer]:
    """Yield an issuer that says what a test wants, over HTTPS."""
    with issuer(Authority(tmp_path / "ca")) as running:
        running.pages[DISCOVERY] |= {
            "authorization_endpoint": f"{running.url}/authorize",
            "token_endpoint": f"{running.url}/token",
        }
        yield running


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("s3cr3t-of-the-page\n")
    return path


@asynccontextmanager
async def trusting(gateway: str, issuer: Issuer, **settings: object) -> AsyncIterator[Page]:
    """Serve a page that believes the issuer."""
    own = {"oidc_issuer": issuer.url, "oidc_client_id": CLIENT, "oidc_ca": issuer.ca, "oidc_viewers": "viewer"}
    async with page(gateway, **own | settings) as served:
        yield served


async def leave(client: httpx.AsyncClient, **query: str) -> dict[str, str]:
    """Set out for the issuer; return what it is asked."""
    answer = await client.get("/sign-in/issuer", params=query)
    assert answer.status_code == 302, answer.text
    return {name: value for name, (value,) in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def answer_with(issuer: Issuer, asked: dict[str, str], key: RSAKey | None = None, **claims: Any) -> None:
    """Let the issuer answer with an ID token of a viewer, with other claims as given; None leaves one out."""
    own = {"aud": CLIENT, "nonce": asked["nonce"], "iat": int(time.time()), "roles": ["viewer"], "sub": "ada"}
    give(issuer, issuer.token(key=key, **own | claims))


def give(issuer: Issuer, id_token: str) -> None:
    issuer.pages["/token"] = {"access_token": "a", "token_type": "Bearer", "id_token": id_token}


async def come_back(client: httpx.AsyncClient, asked: dict[str, str], **query: str) -> httpx.Response:
    return await client.get("/sign-in/callback", params={"code": "c", "state": asked["state"]} | query)


def refused(answer: httpx.Response, *codes: int) -> bool:
    """Return whether it is the page of signing in with words of what is wrong, and none of the issuer's."""
    return answer.status_code in codes and 'role="alert"' in answer.text and "Traceback" not in answer.text


async def test_a_visitor_signs_in_at_the_issuer(gateway: str, secret: Path) -> None:
    """They are greeted by name, have the role and collections of their claims, and come back to where they were."""
    with oidc_provider(ada=ADA) as url:
        settings = {"oidc_issuer": url, "oidc_client_secret_file": secret, "oidc_editors": "x,marquee-editors"}
        async with page(gateway, oidc_client_id=CLIENT, **settings) as served, served.client() as client:
            there = await client.get("/sign-in/issuer", params={"next": "/status"})
            async with httpx.AsyncClient(trust_env=False) as browser:
                back = await browser.post(there.headers["location"], data={"sub": "ada"})
            home = await client.get(back.headers["location"])
            assert (home.status_code, home.headers["location"]) == (303, "/status")
            shown = (await client.get("/status")).text
            assert "Ada &lt;Lovelace&gt;" in shown
            assert 'href="/enroll"' in shown
            again = await client.get(back.headers["location"])
            assert refused(again, 401)


async def test_the_way_there_has_state_nonce_and_pkce(gateway: str, liar: Issuer) -> None:
    """Nobody can use a code that they caught, or make a visitor come back with theirs."""
    async with trusting(gateway, liar) as served, served.client() as client:
        asked, again = await leave(client), await leave(client)
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{served.url}/sign-in/callback"
        assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge"))
        answer_with(liar, again)
        assert refused(await come_back(client, asked), 401)
        assert (await come_back(client, again)).status_code == 303


Lie = Callable[[Issuer, dict[str, str]], None]


def _unsigned(issuer: Issuer, asked: dict[str, str]) -> None:
    claims = issuer.claims(aud=CLIENT, nonce=asked["nonce"], iat=int(time.time()), roles="admin")
    head, body, _ = hmac_jwt(claims, {"alg": "none"}, b"x").split(".")
    give(issuer, f"{head}.{body}.")


def _page(path: str, content: object) -> Lie:
    def lie(issuer: Issuer, asked: dict[str, str]) -> None:
        answer_with(issuer, asked)
        issuer.pages[path] = content

    return lie


def _claims(**claims: Any) -> Lie:
    return lambda issuer, asked: answer_with(issuer, asked, **claims)


LIES: dict[str, Lie] = {
    "another nonce": _claims(nonce="n"),
    "no nonce": _claims(nonce=None),
    "expired": _claims(exp=int(time.time()) - 60),
    "no expiry": _claims(exp=None),
    "of the future": _claims(iat=int(time.time()) + 3600),
    "another audience": _claims(aud="another"),
    "another audience, for us": _claims(aud="another", azp=CLIENT),
    "several audiences": _claims(aud=[CLIENT, "another"], azp="another"),
    "another issuer": _claims(iss="https://another.example"),
    "no sub": _claims(sub=None),
    "a sub that is no text": _claims(sub=7),
    "an empty sub": _claims(sub=""),
    "a long sub": _claims(sub="x" * 300),
    "everybody's name": _claims(sub="anonymous"),
    "another key": lambda issuer, asked: answer_with(issuer, asked, RSAKey.generate_key(2048, {"kid": "first"})),
    "unsigned": _unsigned,
    "no ID token": _page("/token", {"access_token": "a", "token_type": "Bearer"}),
    "an ID token that is none": _page("/token", {"access_token": "a", "token_type": "Bearer", "id_token": "a.b.c"}),
    "an error": _page("/token", {"error": "invalid_grant", "error_description": "<script>evil</script>"}),
    "no JSON": _page("/token", b"<html>"),
    "a list": _page("/token", []),
    "nothing there": _page("/token", None),
    "a redirect": _page("/token", "https://127.0.0.1:1/"),
}
KEYS: list[object] = [{"keys": []}, {"keys": [{"kty": "x"}]}, {"keys": 7}, [1], b"<html>", None]


async def test_an_issuer_that_lies_signs_nobody_in(gateway: str, liar: Issuer) -> None:
    """Whatever is wrong with what it says, the visitor is told so, and stays who they were."""
    async with trusting(gateway, liar) as served:
        for name, lie in LIES.items():
            async with served.client() as client:
                asked = await leave(client)
                lie(liar, asked)
                answer = await come_back(client, asked)
                assert refused(answer, 401, 403, 503), (name, answer.status_code, answer.text)
                assert "evil" not in answer.text
                assert (await client.get("/")).status_code == 303, name


async def test_a_key_that_everybody_has_signs_nobody_in(gateway: str, liar: Issuer) -> None:
    """Symmetric algorithms are not taken, though the issuer publishes such a key and says that it is the way."""
    key = OctKey.generate_key(256, {"kid": "oct"})
    liar.pages["/keys"]["keys"].append(key.as_dict(private=True))
    liar.pages[DISCOVERY]["id_token_signing_alg_values_supported"] = ["HS256", "none"]
    async with trusting(gateway, liar) as served, served.client() as client:
        asked = await leave(client)
        claims = liar.claims(aud=CLIENT, nonce=asked["nonce"], iat=int(time.time()), roles="admin")
        give(liar, jwt.encode({"alg": "HS256", "kid": "oct"}, claims, key, ["HS256"]))
        assert refused(await come_back(client, asked), 401)


@pytest.mark.parametrize("keys", KEYS)
async def test_an_issuer_without_keys_signs_nobody_in(gateway: str, liar: Issuer, keys: object) -> None:
    """What cannot be checked is not believed."""
    async with trusting(gateway, liar) as served, served.client() as client:
        asked = await leave(client)
        answer_with(liar, asked)
        liar.pages["/keys"] = keys
        assert refused(await come_back(client, asked), 401, 503)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        b"<html>",
        [],
        {},
        {"issuer": "https://another.example"},
        {"authorization_endpoint": "http://evil.example/"},
        {"token_endpoint": "http://evil.example/"},
        {"jwks_uri": 7},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"more": "a" * 1024 * 1024},
        "https://127.0.0.1:1/",
    ],
)
async def test_metadata_that_is_not_to_be_trusted(gateway: str, liar: Issuer, metadata: object) -> None:
    """The visitor stays here: no other issuer is asked, and nothing in plaintext."""
    is_part = isinstance(metadata, dict) and metadata
    liar.pages[DISCOVERY] = liar.pages[DISCOVERY] | metadata if is_part else metadata
    async with trusting(gateway, liar) as served, served.client() as client:
        assert refused(await client.get("/sign-in/issuer"), 401, 503)


async def test_metadata_cannot_turn_checks_off(gateway: str, liar: Issuer) -> None:
    """What the issuer says of itself is no option of our client, whose trust in its CA stays."""
    liar.pages[DISCOVERY] |= {
        "verify": False,
        "scope": "evil",
        "code_challenge_method": None,
        "proxy": "http://127.0.0.1:1",
    }
    async with trusting(gateway, liar) as served, served.client() as client:
        asked = await leave(client)
        assert (asked["scope"], asked["code_challenge_method"]) == ("openid profile", "S256")
        answer_with(liar, asked)
        assert (await come_back(client, asked)).status_code == 303


async def test_an_issuer_that_is_away_or_slow(gateway: str, liar: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says so, soon, and works as soon as the issuer does."""
    monkeypatch.setattr("services.web.access.provider._SECONDS", 0.5)
    away = {"oidc_issuer": f"http://{nobody()}", "oidc_client_id": CLIENT}
    async with page(gateway, **away) as served, served.client() as client:
        assert refused(await client.get("/sign-in/issuer"), 503)
    async with trusting(gateway, liar) as served, served.client() as client:
        liar.go.clear()
        assert refused(await client.get("/sign-in/issuer"), 503)
        liar.go.set()
        assert (await client.get("/sign-in/issuer")).status_code == 302


async def test_an_issuer_of_another_ca_is_not_asked(gateway: str, liar: Issuer, tmp_path: Path) -> None:
    """A certificate that MARQUEE_OIDC_CA does not vouch for ends it."""
    other = Authority(tmp_path / "other").path
    async with trusting(gateway, liar, oidc_ca=other) as served, served.client() as client:
        assert refused(await client.get("/sign-in/issuer"), 503)


async def test_keys_that_rotate_are_fetched(gateway: str, liar: Issuer) -> None:
    """A new key of the issuer counts at once."""
    async with trusting(gateway, liar) as served, served.client() as client:
        for kid in ("first", "second"):
            liar.pages["/keys"]["keys"].clear()
            discovery = liar.pages[DISCOVERY]
            liar.rotate(kid)
            liar.pages[DISCOVERY] = discovery
            asked = await leave(client)
            claims = {"aud": CLIENT, "nonce": asked["nonce"], "iat": int(time.time()), "roles": ["viewer"]}
            give(liar, liar.token(kid, **claims))
            assert (await come_back(client, asked)).status_code == 303, kid


@pytest.mark.parametrize("query", [{}, {"state": "x"}, {"code": "c"}, {"state": "x", "code": "c"}, {"error": "evil"}])
async def test_whoever_did_not_set_out_cannot_come_back(gateway: str, liar: Issuer, query: dict[str, str]) -> None:
    """A code that somebody else's browser got, or none at all, signs nobody in."""
    async with trusting(gateway, liar) as served, served.client() as client:
        answer = await client.get("/sign-in/callback", params=query)
        assert refused(answer, 401)
        assert "evil" not in answer.text


async def test_who_says_no_at_the_issuer_is_told_so(gateway: str, liar: Issuer) -> None:
    """A visitor who changes their mind, or whom the issuer does not let through, is back on the page."""
    async with trusting(gateway, liar) as served, served.client() as client:
        asked = await leave(client)
        answer = await come_back(client, asked, error="access_denied", error_description="evil")
        assert refused(answer, 403)
        assert "evil" not in answer.text


CLAIMS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"roles": ["other", "viewer"]}, "viewer"),
    ({}, {"roles": "editor viewer"}, "editor"),
    ({}, {"roles": ["viewer", "admin"]}, "admin"),
    ({}, {"roles": ["administrator"]}, ""),
    ({}, {"roles": {"admin": True}}, ""),
    ({}, {"roles": None}, ""),
    ({"oidc_default_role": "viewer"}, {"roles": None}, "viewer"),
    ({"oidc_roles_claim": "realm_access.roles"}, {"realm_access": {"roles": ["editor"]}}, "editor"),
    ({"oidc_roles_claim": "https://a.example/roles"}, {"https://a.example/roles": ["admin"]}, "admin"),
    ({"oidc_admins": "Boss,CEO"}, {"roles": ["CEO"]}, "admin"),
    ({"oidc_admins": "Boss,CEO"}, {"roles": ["admin"]}, ""),
    (
        {},
        {"roles": ["viewer"], "marquee_collections": [sha256(bytes([number])).hexdigest() for number in range(99)]},
        "",
    ),
]
"""Settings, claims, and the role that they make; none: nobody is signed in."""


async def test_claims_make_the_role(gateway: str, liar: Issuer) -> None:
    """The best role of the claim counts; without one, and without a default, nobody gets in."""
    for settings, claims, role in CLAIMS:
        async with trusting(gateway, liar, **settings) as served, served.client() as client:
            asked = await leave(client)
            answer_with(liar, asked, **claims)
            answer = await come_back(client, asked)
            assert (answer.status_code == 303) == bool(role), (claims, answer.text)
            assert role or refused(answer, 403), claims
            shown = (await client.get("/status")).text
            assert ('href="/enroll"' in shown) == (role in {"editor", "admin"}), claims


async def test_claims_of_userinfo_count(gateway: str, liar: Issuer) -> None:
    """An issuer that keeps roles out of its ID tokens is asked for them; but not about somebody else."""
    liar.pages[DISCOVERY] |= {"userinfo_endpoint": f"{liar.url}/userinfo"}
    async with trusting(gateway, liar) as served, served.client() as client:
        for sub, code in (("ada", 303), ("eve", 401)):
            liar.pages["/userinfo"] = {"sub": sub, "roles": ["editor"], "name": "Ada"}
            asked = await leave(client)
            answer_with(liar, asked, roles=None)
            assert (await come_back(client, asked)).status_code == code, sub


async def test_visitors_are_greeted_by_the_first_name_that_is_one(gateway: str, liar: Issuer) -> None:
    """Names of blanks and control characters alone are passed over."""
    async with trusting(gateway, liar) as served, served.client() as client:
        asked = await leave(client)
        answer_with(liar, asked, name="\x00\u202e", preferred_username=7, email="ada@example.com")
        await come_back(client, asked)
        assert "ada@example.com" in (await client.get("/status")).text


async def test_nobody_has_the_name_of_a_caller_in_the_register(gateway: str, liar: Issuer, tmp_path: Path) -> None:
    """A sub that is another caller's name is refused; a line `sub:` decides what its user may do."""
    callers = tmp_path / "callers"
    callers.write_text(line("t", name="service") + "sub:bob name=robert scopes=recognize,enroll\n")
    async with trusting(gateway, liar, callers=callers) as served:
        for sub, code in (("service", 403), ("robert", 403), ("bob", 303)):
            async with served.client() as client:
                asked = await leave(client)
                answer_with(liar, asked, sub=sub)
                assert (await come_back(client, asked)).status_code == code, sub
                assert ('href="/enroll"' in (await client.get("/status")).text) == (sub == "bob")


async def test_the_secret_is_shown_to_the_issuer_alone(gateway: str, liar: Issuer, secret: Path) -> None:
    """A client with a secret signs visitors in, and the secret is in no page and no cookie."""
    async with trusting(gateway, liar, oidc_client_secret_file=secret) as served, served.client() as client:
        asked = await leave(client)
        answer_with(liar, asked)
        answer = await come_back(client, asked)
        assert answer.status_code == 303
        assert "s3cr3t" not in f"{answer.headers}{(await client.get('/')).text}{asked}"
        assert "ada" in (await client.get("/")).text


@pytest.mark.slow
async def test_no_secret_is_in_the_log(gateway: str, secret: Path, tmp_path: Path) -> None:
    """Not even at its most detailed: no token, code, state, cookie, or secret of the client."""
    callers, log = tmp_path / "callers", tmp_path / "log"
    callers.write_text(line("t0k3n", name="somebody"))
    async with AsyncExitStack() as stack:
        url = stack.enter_context(oidc_provider(ada={"roles": ["viewer"]}))
        settings = {"oidc_issuer": url, "oidc_client_id": CLIENT, "oidc_client_secret_file": str(secret)}
        served = web(gateway, log, callers=str(callers), log_level="debug", **settings)
        address = await stack.enter_async_context(served)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=address, trust_env=False))
        there = await client.get("/sign-in/issuer")
        back = (await client.post(there.headers["location"], data={"sub": "ada"})).headers["location"]
        assert (await client.get(back)).status_code == 303
        await client.post("/sign-out", data={"csrf_token": csrf_token(await client.get("/"))})
        await sign_in(client, "wr0ng")
        assert (await sign_in(client, "t0k3n")).status_code == 303
        secrets = [*client.cookies.values(), *(value for (value,) in parse_qs(urlsplit(back).query).values())]
    written = log.read_text()
    assert [one for one in ("t0k3n", "wr0ng", "s3cr3t", *secrets) if one in written] == []
    assert "signed in" in written
