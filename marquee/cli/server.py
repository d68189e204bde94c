"""The options that say which server to call, over what, and as whom."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from marquee.async_client import AsyncClient
    from marquee.channels.connection import ConnectionOptions
    from marquee.client import Client

# ruff: noqa: PLC0415 - --help does not wait for gRPC

_Address = Annotated[
    str,
    typer.Option(
        "--address", metavar="HOST:PORT|URL", show_default=False, help="Address of the server; see `marquee --help`."
    ),
]
_Tls = Annotated[bool, typer.Option("--tls", help="Connect with TLS, as to https:// addresses.")]
_Ca = Annotated[str, typer.Option("--ca", metavar="FILE", help="CA of the server (PEM). Default: MARQUEE_CA.")]
_Cert = Annotated[str, typer.Option("--cert", metavar="FILE", help="Client certificate (PEM). Default: MARQUEE_CERT.")]
_Key = Annotated[str, typer.Option("--key", metavar="FILE", help="Its key. Default: MARQUEE_KEY, or in --cert.")]
_ServerName = Annotated[
    str, typer.Option("--server-name", metavar="NAME", help="Whom the server's certificate is for. Default: its host.")
]
_TokenFile = Annotated[
    str,
    typer.Option("--token-file", metavar="FILE", help="Token to send. Default: MARQUEE_TOKEN or MARQUEE_TOKEN_FILE."),
]


@dataclass(frozen=True, slots=True)
class Server:
    """A server to call."""

    address: str
    """Empty: the default."""
    options: "ConnectionOptions"

    def connect(self) -> "Client":
        """Return a client of the server."""
        from marquee.client import Client

        return Client(self.address or None, **self.options)

    def connect_async(self) -> "AsyncClient":
        """Return the same for asyncio."""
        from marquee.async_client import AsyncClient

        return AsyncClient(self.address or None, **self.options)


def calls_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the options of `_server` in place of its parameter `server`, which is made of them."""
    options = inspect.signature(_server).parameters
    own = inspect.signature(command).parameters.values()

    @wraps(command)
    def run(**arguments: Any) -> None:
        server = _server(**{name: arguments.pop(name) for name in options})
        command(server=server, **arguments)

    expanded = (one for parameter in own for one in (options.values() if parameter.name == "server" else [parameter]))
    vars(run)["__signature__"] = inspect.Signature(tuple(expanded))
    return run


def _server(  # noqa: PLR0913 - each is an option
    *,
    address: _Address = "",
    tls: _Tls = False,
    ca: _Ca = "",
    cert: _Cert = "",
    key: _Key = "",
    server_name: _ServerName = "",
    token_file: _TokenFile = "",
) -> Server:
    """Return the server. Raises BadParameter for what no connection can be made with."""
    from marquee.channels.connection import Connection
    from marquee.channels.credentials import token_in
    from marquee.errors import InvalidAddress, InvalidCredentials

    chain = cert or os.environ.get("MARQUEE_CERT", "")
    if key and not chain:
        raise typer.BadParameter("give the certificate of the key, too: --cert.", param_hint="--key")
    key = key or os.environ.get("MARQUEE_KEY", "")
    options: ConnectionOptions = {
        "tls": tls,
        "ca": ca or None,
        "cert": (chain, key) if chain and key else cert or None,
        "server_name": server_name or None,
    }
    try:
        options["token"] = token_in(token_file) if token_file else None
        Connection(address or None, **options).metadata()
    except InvalidAddress as error:
        raise typer.BadParameter(error.message, param_hint="--address" if address else "MARQUEE_ADDRESS") from None
    except InvalidCredentials as error:
        raise typer.BadParameter(error.message) from None
    except OSError as error:
        raise typer.BadParameter(f"{error.filename} cannot be read: {error.strerror}.") from None
    return Server(address, options)
