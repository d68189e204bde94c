"""Settings of the library."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from services.runtime.doors.credentials import Tls
from services.runtime.errors import Misconfigured
from services.runtime.settings import Settings


class LibrarySettings(Settings):
    """Settings of the library."""

    library_database_url: SecretStr = Field(
        SecretStr(""),
        description="URL of the database, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`: PostgreSQL 16 or newer with "
        "pgvector. Parameters such as `?ssl=verify-full` are asyncpg's; `?host=/FOLDER` names a folder with a socket.",
    )
    library_database_url_file: Path | None = Field(
        None,
        description="Path of a file with that URL instead, such as of a mounted Secret. When it changes, new "
        "connections use what it says then.",
    )
    library_database_connections: int = Field(
        16, ge=2, le=200, description="Connections that a replica opens to the database at most."
    )
    library_store: str = Field(
        "",
        description="Where pictures' files and thumbnails are kept: `file:///FOLDER`, which all replicas share, or "
        "`s3://BUCKET/PREFIX`.",
    )
    s3_endpoint_url: str | None = Field(None, description="URL of an S3-compatible server; unset: Amazon S3.")
    library_copy_objects: bool = Field(
        default=False,
        description="Whether to keep a copy of objects in S3, too. Else only pictures that were sent are kept, and an "
        "object is read where it is.",
    )
    library_collection: str = Field(
        "pictures",
        pattern=r"^[A-Za-z0-9_.-]{1,128}$",
        description="Collection that an empty `collection` stands for.",
    )
    library_workers: int = Field(
        4, ge=0, le=256, description="Pictures that a replica has recognized at a time. 0: it leaves that to others."
    )
    library_attempts: int = Field(
        8,
        ge=1,
        le=100,
        description="Attempts to recognize a picture before it is given up. Those that fail because the gateway is "
        "away or overloaded do not count.",
    )
    library_lease_seconds: float = Field(
        60,
        ge=1,
        le=3600,
        description="Seconds after which the work of a replica that died is given to another. Replicas that live renew "
        "in time.",
    )
    library_trash_days: int = Field(30, ge=0, le=3650, description="Days after which a picture in the trash is erased.")
    library_retention: str = Field(
        "",
        pattern=r"^(\s*([A-Za-z0-9_.-]{1,128}|\*)(/[^,=]+)?=[1-9][0-9]{0,4}\s*(,|$))*$",
        description="Days after which pictures are erased, wherever they are, counted from when they were added: "
        "`COLLECTION=DAYS` or `COLLECTION/CATEGORY=DAYS`, comma-separated. The collection `*` is each of them. Of "
        "several rules the fewest days count. Empty: pictures are kept until they are deleted.",
    )
    library_index_mib: int = Field(
        1024,
        ge=16,
        le=65536,
        description="Memory in MiB that the database may take to build an index of faces' vectors, once a model has "
        "more than 5,000 of them; a million of 128 numbers take about 700. With less it takes several times as long.",
    )
    library_tombstone_key_file: Path | None = Field(
        None,
        description="Path of the keys of the tombstones by which erased pictures are known again, a line each of 32 "
        "characters or more: the first one makes new tombstones, all find old ones. Replicas share it. Unset: a random "
        "one that the database keeps, so that who has a copy of the database can tell whether a picture that they have "
        "was erased.",
    )
    library_erasure_log: str = Field(
        "",
        description="Where erasures are kept outside of the database and its backups, as keyed hashes, a small file "
        "each: `file:///FOLDER`, which all replicas share, or `s3://BUCKET/PREFIX`. A library that starts erases again "
        "what its database, which was restored, has of them. Empty: whoever restores a backup erases again.",
    )
    library_erase_objects: bool = Field(
        default=False,
        description="Whether ErasePerson may delete pictures' objects in S3, with all versions, where it is asked to "
        "and MARQUEE_S3_ALLOWED has them.",
    )
    library_audit_days: int = Field(
        365, ge=1, le=36500, description="Days for which the library keeps who looked up, changed or exported whom."
    )
    library_channels: Path | None = Field(
        None,
        description="Path of the YAML file of the channels by which notifications are sent. When it changes, it is "
        "read again. Unset: nobody is notified.",
    )
    library_webhooks_private: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="Private networks that webhooks may call, comma-separated, such as `10.0.0.0/8`. Empty: webhooks "
        "call public addresses alone.",
    )
    library_notification_attempts: int = Field(
        10,
        ge=1,
        le=100,
        description="Attempts to send a notification, spread over some 10 hours, before it is given up.",
    )
    library_gateway: str = Field("localhost:50051", description="Address of the gateway, host:port.")
    library_gateway_tls: bool = Field(
        default=False, description="Whether the gateway speaks TLS; so it is, too, where any of the next four is set."
    )
    library_gateway_ca: Path | None = Field(
        None, description="Path of certificates, PEM, that vouch for the gateway; unset: the public ones."
    )
    library_gateway_cert: Path | None = Field(
        None, description="Path of the library's own certificate chain, PEM, for a gateway that asks for one."
    )
    library_gateway_key: Path | None = Field(None, description="Path of its private key, PEM.")
    library_gateway_server_name: str | None = Field(
        None, description="Name that the gateway's certificate must have, if not the address's."
    )
    library_gateway_token_file: Path | None = Field(
        None,
        description="Path of the token with which the library calls the gateway. Its line in the gateway's register "
        "needs the scopes relay, recognize and, for people to be enrolled, enroll.",
    )

    @property
    def database_url(self) -> str:
        """URL of the database; empty: none is set. Raises Misconfigured for a file that cannot be read."""
        path = self.library_database_url_file
        if path is None:
            return self.library_database_url.get_secret_value()
        try:
            return path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8"
            raise Misconfigured(f"The database's URL cannot be read from {path}: {why}.") from None

    @property
    def gateway_tls(self) -> Tls | None:
        """How to reach the gateway by TLS; None: it speaks plaintext. Raises ValueError for a certificate alone."""
        tls = Tls(
            ca=self.library_gateway_ca,
            cert=self.library_gateway_cert,
            key=self.library_gateway_key,
            server_name=self.library_gateway_server_name,
        )
        return tls if self.library_gateway_tls or tls != Tls() else None

    @property
    def collection_by_default(self) -> str:
        """Collection that an empty `collection` stands for."""
        return self.library_collection

    @field_validator("library_webhooks_private", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.library_gateway_cert) != bool(self.library_gateway_key):
            raise ValueError("library_gateway_cert and library_gateway_key: set both or neither")
        return self
