"""Settings of who may call, and over what."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode

from services.runtime.doors.scopes import Scope

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""All are asymmetric: with a symmetric one, whoever can check a JWT can make one."""


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return () if value.strip() == "none" else tuple(part.strip() for part in value.split(",") if part.strip())


def is_loopback(host: str) -> bool:
    """Return whether the address, or the name, is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def netloc(host: str, port: int | None = None) -> str:
    """Return the host, with the port if there is one, as it stands in a URL."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def check_url(value: str) -> str:
    """Return the URL unchanged: an issuer's is compared letter by letter. Raises ValueError if it is not HTTPS."""
    parts = urlsplit(value)
    if "@" in parts.netloc:
        raise ValueError("no https:// URL with a user or a password is asked for keys")
    if (parts.scheme == "https" and parts.hostname) or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return value
    raise ValueError(f"{value} is no https:// URL: anybody in between could forge the keys")


_Url = Annotated[str, AfterValidator(check_url)]


class HostSettings(BaseSettings):
    """Settings of where a server listens."""

    host: str = Field(
        "127.0.0.1", description="Address to listen on; in a container 0.0.0.0, or `::` for IPv6 and IPv4."
    )

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine can call."""
        return is_loopback(self.host)


class DoorSettings(HostSettings):
    """Settings of who may call a gRPC server.

    Raises ValidationError for one that everybody could call by mistake.
    """

    allow_anonymous: bool = Field(
        default=False,
        description="Whether to answer callers without credentials. If not, a server that listens off loopback needs "
        "`MARQUEE_CALLERS`, `MARQUEE_JWT_ISSUER` or `MARQUEE_TLS_CLIENT_CA`.",
    )
    callers: Path | None = Field(
        None, description="Path of the register of callers, with lines as `marquee auth token` makes them."
    )
    jwt_issuer: _Url | None = Field(
        None, description="OIDC issuer whose JWTs are accepted as tokens: its `iss`, exactly."
    )
    jwt_audience: str | None = Field(None, description="Audience, `aud`, that JWTs must be for; needed with an issuer.")
    jwt_algorithms: Annotated[tuple[Algorithm, ...], NoDecode, BeforeValidator(_split)] = Field(
        ("RS256", "ES256"), min_length=1, description="Algorithms with which JWTs may be signed, comma-separated."
    )
    jwt_jwks_url: _Url | None = Field(
        None, description="URL of the issuer's keys; unset: as its `/.well-known/openid-configuration` says."
    )
    jwt_ca: Path | None = Field(
        None, description="Path of certificates, PEM, that vouch for the issuer; unset: those of the machine."
    )
    tls_cert: Path | None = Field(
        None, description="Path of the server's certificate chain, PEM. Set, the gRPC port speaks TLS only."
    )
    tls_key: Path | None = Field(None, description="Path of the certificate's private key, PEM, without a password.")
    tls_client_ca: Path | None = Field(
        None, description="Path of certificates, PEM, that vouch for clients. Set, every client has to show one."
    )
    tls_client_scopes: Annotated[frozenset[Scope], NoDecode, BeforeValidator(_split)] = Field(
        frozenset({Scope.RECOGNIZE}),
        description="Scopes, comma-separated, of clients whose certificates have no line in `MARQUEE_CALLERS`; "
        "`none`: they may not call.",
    )
    default_collection: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,128}$",
        description="Collection that an empty `collection` stands for when it is checked whether a caller may use it.",
    )
    audit_log: Path | None = Field(
        None,
        description="Path of the file to which the audit log is appended: who enrolled and removed whom, and who was "
        "refused, in JSON lines. Unset: standard error.",
    )
    reflection: Literal["callers", "everybody", "off"] = Field(
        "callers", description="Who may ask for the protos by reflection: `callers`, `everybody`, or nobody: `off`."
    )

    @property
    def collection_by_default(self) -> str:
        """Collection that an empty `collection` stands for; empty: none that has a name."""
        return self.default_collection

    @property
    def is_closed(self) -> bool:
        """Whether callers have to show who they are."""
        return bool(self.callers or self.jwt_issuer or self.tls_client_ca)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("MARQUEE_TLS_CERT and MARQUEE_TLS_KEY: set both or neither")
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError("MARQUEE_TLS_CLIENT_CA: set MARQUEE_TLS_CERT and MARQUEE_TLS_KEY, too")
        if Scope.RELAY in self.tls_client_scopes:
            raise ValueError("MARQUEE_TLS_CLIENT_SCOPES: relay is for single callers, by a line in MARQUEE_CALLERS")
        if (self.jwt_audience or self.jwt_jwks_url) and not self.jwt_issuer:
            raise ValueError("MARQUEE_JWT_ISSUER: set it, too: without it no JWT is accepted")
        if self.jwt_issuer and not self.jwt_audience:
            raise ValueError("MARQUEE_JWT_AUDIENCE: set it: the issuer's tokens for other services would be accepted")
        if not (self.is_on_loopback or self.is_closed or self.allow_anonymous):
            raise ValueError(
                f"MARQUEE_HOST: whoever reaches {self.host} could call. To ask for credentials, set MARQUEE_CALLERS, "
                "MARQUEE_JWT_ISSUER or MARQUEE_TLS_CLIENT_CA; to answer everybody, set MARQUEE_ALLOW_ANONYMOUS=true"
            )
        return self
