"""Settings of the page and the HTTP API."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.runtime.doors.credentials import Tls
from services.runtime.doors.settings import HostSettings, check_url, is_loopback, netloc
from services.runtime.settings import PREFIX, ProcessSettings

_ORIGIN = re.compile(r"\*|https?://[a-z0-9._\[\]:-]+(?<!:)")
_NETLOC = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+")


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _site(value: str) -> str:
    """Return the URL without a slash at its end. Raises ValueError if it is more than a scheme, a host and a port."""
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a port that is none") from None
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("is no URL such as https://marquee.example.com")
    if "@" in parts.netloc or parts.path not in {"", "/"} or "?" in value or "#" in value:
        raise ValueError("has more than a scheme, a host and a port: the page lies at the root of its host")
    is_usual = port == (80 if parts.scheme == "http" else 443)
    return f"{parts.scheme}://{netloc(str(parts.hostname), None if is_usual else port)}"


def _host(value: str) -> str:
    if not _NETLOC.fullmatch(value):
        raise ValueError("is no host such as marquee-web or marquee-web:8080")
    return value.lower()


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError("is no origin such as https://app.example or http://localhost:5173")
    return value


def _proxy(value: str) -> str:
    ip_network(value)
    return value


_List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class WebSettings(ProcessSettings, HostSettings):
    """Settings of the page and the HTTP API."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    web_port: int = Field(8080, ge=1, le=65535, description="HTTP port.")
    tls_cert: Path | None = Field(
        None, description="Path of the page's own certificate chain, PEM. Set, the page speaks HTTPS only."
    )
    tls_key: Path | None = Field(None, description="Path of the certificate's private key, PEM, without a password.")
    max_in_flight_mib: int = Field(
        256,
        ge=16,
        description="Memory for uploads, in MiB: each counts with all copies, four times its size. Those beyond it "
        "wait for up to 5 s on disk, and are refused then; one that is alone may be larger.",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Whether visitors who have not signed in may do everything. If not, a page that listens off "
        "loopback needs `MARQUEE_CALLERS` or `MARQUEE_OIDC_ISSUER`.",
    )
    callers: Path | None = Field(
        None,
        description="Path of the register of callers, as the gateway has it: whoever has a token of a line in it may "
        "sign in with that. Lines `sub:` are for users of `MARQUEE_OIDC_ISSUER`.",
    )
    web_url: Annotated[str, AfterValidator(_site)] | None = Field(
        None,
        description="URL at which visitors reach the page, such as `https://marquee.example.com`; requests for other "
        "hosts are refused. Needed off loopback, and HTTPS where visitors sign in. Unset: `localhost` and loopback "
        "addresses, with any port.",
    )
    web_hosts: Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Further hosts, comma-separated and with their port if that is not the usual one, by which other "
        "servers call, such as a Service's name. No visitor is sent there.",
    )
    web_trusted_proxies: Annotated[
        tuple[Annotated[str, AfterValidator(_proxy)], ...], NoDecode, BeforeValidator(_split)
    ] = Field(
        (),
        description="Addresses and networks, comma-separated, of proxies in front of the page, whose "
        "`X-Forwarded-For` says where visitors come from. Nobody else's is believed.",
    )
    web_keep_alive_seconds: int = Field(
        20,
        ge=1,
        le=4000,
        description="Seconds for which a connection waits for its next request. A proxy that keeps connections to the "
        "page has to close them first, or a request may meet one that the page is closing.",
    )
    web_session_hours: float = Field(12, gt=0, le=720, description="Hours after which visitors have to sign in again.")
    web_session_key_file: Path | None = Field(
        None,
        description="Path of the keys that sign sessions, a line each of 32 characters or more: the first one signs, "
        "all are believed. Replicas share it. Unset: a random one, so that sessions end with the process.",
    )
    web_pictures_per_minute: float = Field(
        60,
        ge=0.1,
        le=1_000_000,
        description="How many pictures a visitor may send a minute, at once or spread; of each replica. Those of one "
        "enrollment count as one. Those who sign in by a line with `calls=` have that limit instead. Off loopback "
        "visitors who have not signed in are told apart by address; on loopback they have no limit.",
    )
    web_sign_ins_per_minute: int = Field(
        60,
        ge=1,
        le=1_000_000,
        description="How many attempts to sign in an address may make a minute; of each replica. People behind one "
        "proxy or router share an address.",
    )
    oidc_issuer: Annotated[str, AfterValidator(check_url)] | None = Field(
        None, description="OIDC issuer by which visitors may sign in: its `iss`, exactly."
    )
    oidc_client_id: str | None = Field(
        None,
        description="Client ID of the page at the issuer; needed with one. Its redirect URI there is "
        "`/sign-in/callback` below `MARQUEE_WEB_URL`.",
    )
    oidc_client_secret_file: Path | None = Field(
        None, description="Path of the client's secret; unset: a public client, which has none."
    )
    oidc_ca: Path | None = Field(
        None, description="Path of certificates, PEM, that vouch for the issuer; unset: those of the machine."
    )
    oidc_scopes: _List = Field(
        ("openid", "profile"), description="Scopes that are asked of the issuer, comma-separated; `openid` is one."
    )
    oidc_roles_claim: str = Field(
        "roles",
        min_length=1,
        description="Claim of the roles that a visitor has at the issuer: a word, or a list. Dots lead into nested "
        "claims, as in `realm_access.roles`.",
    )
    oidc_viewers: _List = Field(
        ("viewer",), description="Values of that claim, comma-separated, that make a viewer, who recognizes pictures."
    )
    oidc_editors: _List = Field(
        ("editor",), description="Those that make an editor, who enrolls and removes people, too."
    )
    oidc_admins: _List = Field(("admin",), description="Those that make an admin, who sees what is spent, too.")
    oidc_default_role: Literal["viewer", "editor", "admin"] | None = Field(
        None, description="Role of visitors with none of those values; unset: they may not sign in."
    )
    oidc_collections_claim: str = Field(
        "marquee_collections",
        min_length=1,
        description="Claim of the collections that a visitor may use: words in a text, or a list. Without it, the "
        "default one.",
    )
    oidc_name_claim: str = Field("name", min_length=1, description="Claim of the name by which visitors are greeted.")
    default_collection: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,128}$",
        description="Collection that an empty `collection` stands for when it is checked whether a visitor may use it; "
        "the gateway's.",
    )
    audit_log: Path | None = Field(
        None,
        description="Path of the file to which the audit log is appended: who signed in and out, and who was refused, "
        "in JSON lines. Unset: standard error.",
    )
    web_gateway: str = Field("localhost:50051", description="Address of the gateway, host:port.")
    web_gateway_tls: bool = Field(
        default=False,
        description="Whether the gateway speaks TLS; so it is, too, where any of the next four is set.",
    )
    web_gateway_ca: Path | None = Field(
        None, description="Path of certificates, PEM, that vouch for the gateway; unset: the public ones."
    )
    web_gateway_cert: Path | None = Field(
        None, description="Path of the page's own certificate chain, PEM, for a gateway that asks for one."
    )
    web_gateway_key: Path | None = Field(None, description="Path of its private key, PEM.")
    web_gateway_server_name: str | None = Field(
        None, description="Name that the gateway's certificate must have, if not the address's."
    )
    web_gateway_token_file: Path | None = Field(
        None,
        description="Path of the token with which the page calls the gateway for those who have signed in. Its line in "
        "the gateway's register needs the scope relay, and recognize, enroll and admin for what visitors may do.",
    )

    web_cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)
    ] = Field(
        (),
        description="Origins such as `https://app.example` whose pages may call the HTTP API from a browser, with an "
        "Authorization of their own; comma-separated. `*`: all. Empty: none.",
    )

    @property
    def is_closed(self) -> bool:
        """Whether visitors have to sign in."""
        return self.has_sign_in and not self.allow_anonymous

    @property
    def has_sign_in(self) -> bool:
        """Whether visitors can sign in."""
        return bool(self.callers or self.oidc_issuer)

    @property
    def gateway_tls(self) -> Tls | None:
        """How to reach the gateway by TLS; None: it speaks plaintext. Raises ValueError for a certificate alone."""
        tls = Tls(
            ca=self.web_gateway_ca,
            cert=self.web_gateway_cert,
            key=self.web_gateway_key,
            server_name=self.web_gateway_server_name,
        )
        return tls if self.web_gateway_tls or tls != Tls() else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.web_gateway_cert) != bool(self.web_gateway_key):
            raise ValueError("MARQUEE_WEB_GATEWAY_CERT and MARQUEE_WEB_GATEWAY_KEY: set both or neither")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("MARQUEE_TLS_CERT and MARQUEE_TLS_KEY: set both or neither")
        if not (self.is_on_loopback or self.is_closed or self.allow_anonymous):
            raise ValueError(
                f"MARQUEE_HOST: whoever reaches {self.host} could use the page. To let people sign in, set "
                "MARQUEE_CALLERS or MARQUEE_OIDC_ISSUER; to let everybody in, set MARQUEE_ALLOW_ANONYMOUS=true"
            )
        self._check_oidc()
        self._check_url()
        return self

    def _check_oidc(self) -> None:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("MARQUEE_OIDC_CLIENT_ID: set it: the issuer knows the page by that")
        if self.oidc_client_id and not self.oidc_issuer:
            raise ValueError("MARQUEE_OIDC_ISSUER: set it, too: without it nobody signs in with MARQUEE_OIDC_CLIENT_ID")
        if self.oidc_issuer and "openid" not in self.oidc_scopes:
            raise ValueError("MARQUEE_OIDC_SCOPES: openid has to be one: without it the issuer does not say who it is")

    def _check_url(self) -> None:
        url = urlsplit(self.web_url or "http://localhost")
        if not (self.is_on_loopback or self.web_url):
            raise ValueError(
                "MARQUEE_WEB_URL: set it to where visitors reach the page, such as https://marquee.example.com: "
                "requests for other hosts are refused"
            )
        if self.has_sign_in and url.scheme != "https" and not is_loopback(str(url.hostname)):
            raise ValueError(
                "MARQUEE_WEB_URL: it has to be https:// where visitors sign in: tokens could be read on the way"
            )
