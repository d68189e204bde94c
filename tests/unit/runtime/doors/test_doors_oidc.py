"""JWTs: which are believed, and how their issuer's keys are fetched."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from services.runtime.doors import oidc
from services.runtime.doors.register import Register
from services.runtime.doors.scopes import Scope
from services.runtime.doors.settings import Algorithm, DoorSettings
from services.runtime.errors import DependencyUnavailable, DomainError, TokenExpired, TokenInvalid
from tests.support.doors import DISCOVERY, Authority, Issuer, hmac_jwt, issuer
from tests.support.processes import PATIENCE
from tests.support.servers import until

SECRET = OctKey.import_key(b"secret" * 8, {"kid": "secret"})
STRANGER = RSAKey.generate_key(2048)
SHORT = {"kty": "RSA", "e": "AQAB", "n": "_" * 170 + "8"}
"""A key of 1024 bits."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with issuer(Authority(tmp_path_factory.mktemp("issuer"))) as running:
        yield running


@pytest.fixture
def served(running: Issuer) -> Iterator[Issuer]:
    """Yield an issuer with one key, that was not asked yet."""
    running.rotate("first")
    running.requests.clear()
    yield running
    running.go.set()


def believer(served: Issuer, **settings: Any) -> oidc.Issuer:
    return oidc.Issuer(DoorSettings(**served.settings() | settings))


async def reason(served: oidc.Issuer, token: str) -> str:
    with pytest.raises(DomainError) as caught:
        await served.claims_of(token)
    return f"{type(caught.value).__name__}: {caught.value.message}"


async def test_a_jwt_of_the_issuer_is_believed(served: Issuer) -> None:
    """Its keys are found by its discovery document, and fetched once for all JWTs."""
    believing = believer(served)
    for audience in ("marquee", ["other", "marquee"]):
        assert (await believing.claims_of(served.token(aud=audience)))["sub"] == "someone"
    assert served.requests == [DISCOVERY, "/keys"]


async def test_the_address_of_the_keys_may_be_set(served: Issuer) -> None:
    """With an address of the keys, nothing else is fetched."""
    believing = believer(served, jwt_jwks_url=f"{served.url}/keys")
    assert await believing.claims_of(served.token())
    assert served.requests == ["/keys"]


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"iss": "https://other"}, "it is from another issuer than MARQUEE_JWT_ISSUER"),
        ({"iss": None}, "it is from another issuer"),
        ({"aud": "other"}, "it is for another audience than MARQUEE_JWT_AUDIENCE"),
        ({"aud": None}, "it is for another audience"),
        ({"exp": 1}, "TokenExpired: The JWT has expired"),
        ({"exp": None}, "it lacks a good exp"),
        ({"exp": "9999999999"}, "it lacks a good exp"),
        ({"nbf": 9_999_999_999}, "it is not valid yet"),
        ({"iat": 9_999_999_999}, "it was issued in the future"),
        ({"sub": None}, "it lacks a good sub"),
        ({"sub": ""}, "it lacks a good sub"),
        ({"sub": 5}, "it lacks a good sub"),
        ({"sub": {}}, "it lacks a good sub"),
    ],
)
async def test_a_jwt_that_is_not_for_this_server_is_refused(served: Issuer, claims: dict[str, Any], error: str) -> None:
    """The message names what is wrong with its claims."""
    assert error in await reason(believer(served), served.token(**claims))


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({"alg": "none"}, "Algorithm of 'none' is not allowed"),
        ({"alg": "HS256", "kid": "first"}, "Algorithm of 'HS256' is not allowed"),
        ({"alg": "HS256", "kid": "secret"}, "Algorithm of 'HS256' is not allowed"),
        ({"alg": "RS256", "kid": "first"}, "its signature is not its issuer's"),
        ({"alg": "RS256", "kid": "secret"}, "No key for kid: 'secret'"),
        ({"alg": "ES256", "kid": "first"}, "requires 'EC'"),
        ({"alg": "RS512", "kid": "first"}, "Algorithm of 'RS512' is not allowed"),
        ({"alg": "RS256", "kid": "first", "crit": ["x"], "x": 1}, "Unsupported ['x']"),
        ({"alg": ["RS256"], "kid": "first"}, "'alg' in header"),
        ({"alg": "RS256", "kid": 5}, "'kid' in header"),
        (b"[" * 10_000, "its header cannot be read"),
        (b"[1]", "its header cannot be read"),
        (b"\xff", "its header cannot be read"),
    ],
)
async def test_a_jwt_that_its_issuer_did_not_sign_is_refused(served: Issuer, header: object, error: str) -> None:
    """Neither `none`, nor an HMAC with a public key or with one of the set, passes for a signature."""
    served.rotate("first", "second")
    served.pages["/keys"]["keys"].append(SECRET.as_dict(private=True))
    public = served.keys["first"].as_pem(private=False)
    for secret in (b"", public, json.dumps(served.keys["first"].as_dict(private=False)).encode(), b"secret" * 8):
        message = await reason(believer(served), hmac_jwt(served.claims(), header, secret))
        assert message.startswith("TokenInvalid")
        assert error in message


async def test_a_key_that_the_jwt_brings_along_is_not_used(served: Issuer) -> None:
    """A JWT signed with another key is refused, whatever its header says of that key."""
    believing = believer(served)
    assert "signature" in await reason(believing, served.token(key=STRANGER))
    header = {"alg": "RS256", "kid": "first", "jku": f"{served.url}/forged"}
    token = jwt.encode(header, served.claims(), STRANGER, algorithms=["RS256"])
    assert "signature" in await reason(believing, token)
    assert served.requests == [DISCOVERY, "/keys"]


async def test_keys_of_unknown_kinds_are_left_out(served: Issuer) -> None:
    """What is in the set besides, malformed or of a kind to come, keeps no JWT of a good key out."""
    others = [5, {}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-9"}, {"kty": "AKP"}, SECRET.as_dict(private=True)]
    curve = ECKey.generate_key("P-256", {"kid": "curve"})
    served.pages["/keys"]["keys"] += [*others, curve.as_dict(private=False)]
    believing = believer(served)
    assert await believing.claims_of(served.token())
    assert await believing.claims_of(jwt.encode({"alg": "ES256", "kid": "curve"}, served.claims(), curve))


KEYS = {
    "RS": lambda: RSAKey.generate_key(2048, {"kid": "k"}),
    "PS": lambda: RSAKey.generate_key(2048, {"kid": "k"}),
    "ES256": lambda: ECKey.generate_key("P-256", {"kid": "k"}),
    "ES384": lambda: ECKey.generate_key("P-384", {"kid": "k"}),
    "ES512": lambda: ECKey.generate_key("P-521", {"kid": "k"}),
    "Ed": lambda: OKPKey.generate_key("Ed25519", {"kid": "k"}),
}


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", get_args(Algorithm))
async def test_every_algorithm_that_may_be_set_works(served: Issuer, algorithm: str) -> None:
    """A JWT signed by it is believed where it is set, and refused elsewhere."""
    key = next(make for name, make in KEYS.items() if algorithm.startswith(name))()
    served.pages["/keys"] = {"keys": [key.as_dict(private=False)]}
    token = jwt.encode({"alg": algorithm, "kid": "k"}, served.claims(), key, [algorithm])
    assert await believer(served, jwt_algorithms=algorithm).claims_of(token)
    other = "ES256" if algorithm != "ES256" else "RS256"
    assert "is not allowed" in await reason(believer(served, jwt_algorithms=other), token)


async def test_made_up_keys_do_not_make_the_server_call_the_issuer(served: Issuer) -> None:
    """JWTs of unknown keys cause no fetch within 30 s of the last one."""
    believing = believer(served)
    for number in range(20):
        assert "No key" in await reason(believing, served.token(kid=f"k{number}", key=STRANGER))
    assert served.requests == [DISCOVERY, "/keys"]


async def test_a_new_key_is_fetched(served: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once 30 s have passed, a JWT of a key that is not known yet waits for it, and is believed."""
    believing = believer(served)
    await believing.claims_of(served.token())
    monkeypatch.setattr(oidc, "_RETRY_SECONDS", 0)
    served.rotate("first", "second")
    assert await believing.claims_of(served.token("second"))


async def test_a_new_key_without_an_id_is_fetched(served: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where JWTs name no key, the keys are fetched again as soon as they may be."""
    believing = believer(served)
    assert await believing.claims_of(nameless(served))
    monkeypatch.setattr(oidc, "_RETRY_SECONDS", 0)
    served.rotate("second")
    token = nameless(served)
    async with asyncio.timeout(PATIENCE):
        while not await believes(believing, token):  # noqa: ASYNC110 - a thread fetches them
            await asyncio.sleep(0.01)


def nameless(served: Issuer) -> str:
    """Return a JWT of the issuer's key, of which neither has an ID."""
    (key,) = served.keys.values()
    del served.pages["/keys"]["keys"][0]["kid"]
    return jwt.encode({"alg": "RS256"}, served.claims(), key, ["RS256"])


async def believes(believing: oidc.Issuer, token: str) -> bool:
    try:
        return bool(await believing.claims_of(token))
    except TokenInvalid:
        return False


async def test_a_key_that_is_withdrawn_ends_its_jwts(served: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the keys are fetched without it, a JWT that was believed before is so no longer."""
    believing, token = believer(served), served.token()
    await believing.claims_of(token)
    monkeypatch.setattr(oidc, "_RETRY_SECONDS", 0)
    served.rotate("second")
    await believing.claims_of(served.token("second"))
    assert "No key for kid: 'first'" in await reason(believing, token)


async def test_a_jwt_ends_while_it_is_used(served: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JWT that was believed is refused once it has expired."""
    believing, token = believer(served), served.token(exp=int(time.time()) + 60)
    await believing.claims_of(token)
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(TokenExpired):
        await believing.claims_of(token)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "http://127.0.0.2:1/keys",
        b"{",
        b"[" * 100_000,
        {"keys": []},
        {"keys": 5},
        [],
        {"keys": [SECRET.as_dict(private=True)]},
        {"keys": [SHORT]},
        b'{"keys": []}' + b" " * 10_000_000,
    ],
    ids=["404", "redirect", "no JSON", "nested", "empty", "number", "list", "symmetric", "1024 bits", "10 MB"],
)
@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_known_keys_outlive_a_broken_answer(
    served: Issuer, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the issuer sends instead of its keys, those known stay in use; without any its JWTs wait."""
    believing = believer(served)
    await believing.claims_of(served.token())
    monkeypatch.setattr(oidc, "_RETRY_SECONDS", 0)
    served.pages["/keys"] = answer
    assert "No key" in await reason(believing, served.token(kid="new", key=STRANGER))
    assert await believing.claims_of(served.token())
    assert (await reason(believer(served), served.token())).startswith("DependencyUnavailable")


async def test_no_way_to_the_keys_leads_over_http(served: Issuer) -> None:
    """A redirect to an address that is not HTTPS is not followed, even if that leads back to HTTPS."""
    served.pages["/keys"] = served.url.replace("https://127.0.0.1", "http://localhost.example.org")
    with pytest.raises(DependencyUnavailable):
        await believer(served).claims_of(served.token())


async def test_keys_that_drip_in_are_not_waited_for(served: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that sends a byte now and then holds no thread until it has sent them all."""
    monkeypatch.setattr(oidc, "_FETCH_SECONDS", 0.3)

    def drip(page: Any) -> None:
        for _ in range(round(PATIENCE / 0.1)):
            page.write(b" ")
            time.sleep(0.1)

    served.pages["/keys"] = drip
    with pytest.raises(DependencyUnavailable):
        await believer(served).claims_of(served.token())


def test_an_authority_that_is_not_there_is_named(served: Issuer, tmp_path: Path) -> None:
    """The server does not start, rather than believe no JWT later."""
    with pytest.raises(ValueError, match=r"missing\.pem cannot be read"):
        believer(served, jwt_ca=tmp_path / "missing.pem")


async def test_a_redirect_to_https_is_followed(served: Issuer) -> None:
    """Keys may have moved."""
    served.pages |= {"/moved": served.pages["/keys"], "/keys": f"{served.url}/moved"}
    assert await believer(served).claims_of(served.token())


async def test_an_issuer_of_another_authority_is_not_asked(served: Issuer, tmp_path: Path) -> None:
    """Keys come only from a server whose certificate MARQUEE_JWT_CA vouches for."""
    other = Authority(tmp_path / "other")
    with pytest.raises(DependencyUnavailable):
        await believer(served, jwt_ca=other.path).claims_of(served.token())
    assert served.requests == []


async def test_callers_with_known_keys_wait_for_nothing(served: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the issuer hangs, old keys serve, and only a caller with another key waits, as long as they like."""
    believing = believer(served)
    await believing.claims_of(served.token())
    monkeypatch.setattr(oidc, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(oidc, "_FRESH_SECONDS", 0)
    served.go.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await believing.claims_of(served.token(kid="new", key=STRANGER))
    assert await believing.claims_of(served.token())
    assert not served.go.is_set()
    served.go.set()


async def test_keys_arrive_although_the_caller_has_gone(served: Issuer) -> None:
    """A fetch that takes longer than each caller waits goes on, and serves the next one."""
    believing = believer(served)
    served.go.clear()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await believing.claims_of(served.token())
    served.go.set()
    await until(lambda: len(served.requests) == 2)
    assert await believing.claims_of(served.token())
    assert served.requests == [DISCOVERY, "/keys"]


def caller(**claims: Any) -> Any:
    return oidc.claimed({"sub": "someone"} | claims, Register())


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "openid marquee:recognize marquee:enroll"}, {Scope.RECOGNIZE, Scope.ENROLL}),
        ({"scope": "recognize"}, {Scope.RECOGNIZE}),
        ({"scp": ["recognize"]}, {Scope.RECOGNIZE}),
        ({"scp": "recognize"}, {Scope.RECOGNIZE}),
        ({"roles": ["marquee:admin", 5, None]}, {Scope.ADMIN}),
        ({"scope": "relay marquee:relay", "scp": ["relay"], "roles": ["relay"]}, set()),
        ({"scope": {"recognize": True}, "scp": 5, "roles": None}, set()),
        ({"scope": "RECOGNIZE recogni ze"}, set()),
        ({}, set()),
    ],
)
def test_claims_give_scopes(claims: dict[str, Any], scopes: set[Scope]) -> None:
    """Scopes are words of scope, scp and roles, with or without the prefix; relay is in no claim's gift."""
    assert caller(**claims).scopes == scopes


@pytest.mark.parametrize(
    ("claim", "collections"),
    [("staff vip", {"staff", "vip"}), (["staff"], {"staff"}), ([], set()), ("", set()), (5, set()), (None, set())],
)
def test_a_claim_gives_collections(claim: object, collections: set[str]) -> None:
    """Without the claim all collections may be used; what is in no form known gives none."""
    assert caller(marquee_collections=claim).collections == collections
    assert caller().collections is None


@pytest.mark.parametrize("subject", ["anonymous", "a" * 256])
def test_a_subject_that_is_no_name_is_refused(subject: str) -> None:
    """Nobody calls themselves anonymous, nor something that is too long to pass on."""
    with pytest.raises(TokenInvalid, match="for its sub"):
        caller(sub=subject)


async def test_expired_is_told_from_invalid(served: Issuer) -> None:
    """A caller whose JWT has run out learns to get another one."""
    with pytest.raises(TokenExpired, match="Get a new one"):
        await believer(served).claims_of(served.token(exp=int(time.time()) - 60))
