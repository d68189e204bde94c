"""The options that say which server to call, over what, and as whom."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.channels.role import LIBRARY, RECOGNITION, Role

if TYPE_CHECKING:
    from marquee.async_client import AsyncClient
    from marquee.channels.connection import ConnectionOptions
    from marquee.channels.local_system import LocalSystem
    from marquee.client import Client
    from marquee.library.async_client import AsyncLibraryClient
    from marquee.library.client import LibraryClient
    from marquee.library.notifications.client import NotificationClient
    from marquee.library.people.client import PeopleClient

# ruff: noqa: PLC0415 - --help does not wait for gRPC

_Address = Annotated[
    str,
    typer.Option(
        "--address", metavar="HOST:PORT|URL", show_default=False, help="Address of the server; see `marquee --help`."
    ),
]
_LibraryAddress = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="HOST:PORT|URL",
        show_default=False,
        help="Address of the library; see `marquee library --help`.",
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

_UNREACHABLE = 3
"""Exit code of a command whose server is not there."""
_NO_ADDRESS = "{} is the default: no --address, no {}, and {}."
_NO_SYSTEM = "no local system of yours is running"
_NO_LIBRARY = "your local system has no library"


@dataclass(frozen=True, slots=True)
class Server:
    """A server to call."""

    address: str
    """Empty: the client's default."""
    options: "ConnectionOptions"
    origin: str = ""
    """Where an address that nobody named is from, as a sentence."""

    def connect(self, *, batch: bool = False) -> "Client":
        """Return a client of the server. `batch`: others' calls go first."""
        from marquee.client import Client

        return Client(self.address or None, **(self.options | {"batch": batch}))

    def connect_async(self, *, batch: bool = False) -> "AsyncClient":
        """Return the same for asyncio."""
        from marquee.async_client import AsyncClient

        return AsyncClient(self.address or None, **(self.options | {"batch": batch}))

    def connect_library(self) -> "LibraryClient":
        """Return a client of the library."""
        from marquee.library.client import LibraryClient

        return LibraryClient(self.address or None, **self.options)

    def connect_library_async(self) -> "AsyncLibraryClient":
        """Return the same for asyncio."""
        from marquee.library.async_client import AsyncLibraryClient

        return AsyncLibraryClient(self.address or None, **self.options)

    def connect_people(self) -> "PeopleClient":
        """Return a client of the library's people."""
        from marquee.library.people.client import PeopleClient

        return PeopleClient(self.address or None, **self.options)

    def connect_notifications(self) -> "NotificationClient":
        """Return a client of the library's notifications."""
        from marquee.library.notifications.client import NotificationClient

        return NotificationClient(self.address or None, **self.options)

    def print_origin(self) -> None:
        """Say on standard error where an address that nobody named is from."""
        from marquee.cli.terminal import print_note

        if self.origin:
            print_note(self.origin)


def calls_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the options of a server in place of its parameter `server`, which is made of them."""
    return _calls(command, RECOGNITION)


def calls_library(command: Callable[..., None]) -> Callable[..., None]:
    """Do the same for a subcommand that calls the library."""
    return _calls(command, LIBRARY)


def with_options(command: Callable[..., None], name: str, make: Callable[..., Any]) -> Callable[..., None]:
    """Give a subcommand the options of `make` in place of the parameter of that name, which `make` returns."""
    options = inspect.signature(make).parameters
    own = inspect.signature(command).parameters.values()

    @wraps(command)
    def run(**arguments: Any) -> None:
        made = make(**{option: arguments.pop(option) for option in options})
        command(**{name: made}, **arguments)

    expanded = (one for parameter in own for one in (options.values() if parameter.name == name else [parameter]))
    vars(run)["__signature__"] = inspect.Signature(tuple(expanded))
    return run


def _calls(command: Callable[..., None], role: Role) -> Callable[..., None]:
    @wraps(command)
    def call(server: Server, **arguments: Any) -> None:
        try:
            command(server=server, **arguments)
        except typer.Exit as end:
            if end.exit_code == _UNREACHABLE:
                server.print_origin()
            raise

    return with_options(call, "server", _library if role is LIBRARY else _server)


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
    given = partial(_given, tls=tls, ca=ca, cert=cert, key=key, server_name=server_name, token_file=token_file)
    return _found(RECOGNITION, address, given)


def _library(  # noqa: PLR0913 - each is an option
    *,
    address: _LibraryAddress = "",
    tls: _Tls = False,
    ca: _Ca = "",
    cert: _Cert = "",
    key: _Key = "",
    server_name: _ServerName = "",
    token_file: _TokenFile = "",
) -> Server:
    """Return the library. Raises BadParameter likewise."""
    given = partial(_given, tls=tls, ca=ca, cert=cert, key=key, server_name=server_name, token_file=token_file)
    return _found(LIBRARY, address, given)


def _found(role: Role, address: str, given: Callable[[], "ConnectionOptions"]) -> Server:
    from marquee.channels.connection import Connection
    from marquee.channels.local_system import find
    from marquee.errors import InvalidAddress, InvalidCredentials

    is_named = bool(address or os.environ.get(role.variable))
    system = None if is_named else find()
    local = _address_in(system, role)
    address = local or address
    try:
        options = (system.options() if system and local else {}) | given()
        Connection(address or None, role=role, **options).metadata()
    except InvalidAddress as error:
        raise typer.BadParameter(error.message, param_hint="--address" if address else role.variable) from None
    except InvalidCredentials as error:
        raise typer.BadParameter(error.message) from None
    except OSError as error:
        raise typer.BadParameter(f"{error.filename} cannot be read: {error.strerror}.") from None
    return Server(address, options, "" if is_named else _origin(system, local, role))


def _address_in(system: "LocalSystem | None", role: Role) -> str:
    if system is None:
        return ""
    return system.library if role is LIBRARY else system.address


def _origin(system: "LocalSystem | None", local: str, role: Role) -> str:
    if system and local:
        return system.origin_of(local)
    return _NO_ADDRESS.format(role.local, role.variable, _NO_LIBRARY if system else _NO_SYSTEM)


def _given(  # noqa: PLR0913 - each is an option
    *, tls: bool, ca: str, cert: str, key: str, server_name: str, token_file: str
) -> "ConnectionOptions":
    """Return what the command line says. Of a certificate and its key, one may be the environment's."""
    from marquee.channels.credentials import token_in

    chain, private = cert or os.environ.get("MARQUEE_CERT", ""), key or os.environ.get("MARQUEE_KEY", "")
    if key and not chain:
        raise typer.BadParameter("give the certificate of the key, too: --cert.", param_hint="--key")
    given: ConnectionOptions = {"tls": tls}
    if ca:
        given["ca"] = ca
    if cert or key:
        given["cert"] = (chain, private) if private else cert
    if server_name:
        given["server_name"] = server_name
    if token_file:
        given["token"] = token_in(token_file)
    return given
