"""Settings of the page and the HTTP API."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.runtime.doors.credentials import Tls
from services.runtime.doors.settings import is_loopback
from services.runtime.settings import PREFIX, ProcessSettings

_ORIGIN = re.compile(r"\*|https?://[a-z0-9._\[\]:-]+(?<!:)")


class WebSettings(ProcessSettings):
    """Settings of the page and the HTTP API."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; use 0.0.0.0 in a container.")
    web_port: int = Field(8080, ge=1, le=65535, description="HTTP port.")
    tls_cert: Path | None = Field(
        None, description="Path of the page's own certificate chain, PEM. Set, the page speaks HTTPS only."
    )
    tls_key: Path | None = Field(None, description="Path of the certificate's private key, PEM, without a password.")
    max_in_flight_mib: int = Field(
        384,
        ge=16,
        description="Memory for uploads, in MiB: each counts with all copies, five times its size. Those beyond it "
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
        "sign in with that.",
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

    web_cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins such as `https://app.example` whose pages may call the HTTP API from a browser, with an "
        "Authorization of their own; comma-separated. `*`: all. Empty: none.",
    )

    @field_validator("web_cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("web_cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin such as https://app.example or http://localhost:5173")
        return origins

    @property
    def host_in_url(self) -> str:
        """The address as it stands before a port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine can call."""
        return is_loopback(self.host)

    @property
    def is_closed(self) -> bool:
        """Whether visitors have to sign in."""
        return bool(self.callers) and not self.allow_anonymous

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
        return self
