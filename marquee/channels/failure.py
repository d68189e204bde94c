"""What a failed call means: the exception for the server's status, or for what gRPC tells of the connection."""

import re
from dataclasses import replace
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from marquee import errors
from marquee.channels.address import Address
from marquee.channels.credentials import Tls
from marquee.channels.handshake import Fault, fault_in, fault_of
from marquee.channels.proxy import proxy_of
from marquee.errors import InternalError, MarqueeError, TlsError, Unreachable
from marquee.records import Status, read_status

M = TypeVar("M", bound=Message)
_DETAILS_KEY = "grpc-status-details-bin"
_HINTS = (
    (r"errors resolving|DNS resolution failed", "Cannot find the host of {}: check the name, or set {variable}."),
    (
        r"http2 header with status: 50[234]",
        "What answers at {} is a proxy that does not reach Marquee: try again, or see to the server behind it.",
    ),
    (
        r"HTTP/2|http1|http2 header|ALPN",
        "What answers at {} is no gRPC server, but perhaps a web server: use the port of Marquee's gRPC.",
    ),
    (
        r"last error.*Handshake read failed",
        "The server at {} closes the connection before the TLS handshake ends: perhaps it is not Marquee, or is down.",
    ),
    (
        r"last error.*(Socket closed|reset by peer)",
        "The server at {} closes the connection: perhaps it is not Marquee, or wants TLS: https://…",
    ),
    (r"last error", "Cannot connect to {}: start a server with `make demo`, or set {variable}."),
    (r"", "Lost the connection to {}."),
)
"""Pattern of gRPC's text → what to tell and to do; the first that fits."""
_UNREADABLE = "The server's response cannot be read: perhaps it is not Marquee, or its version does not fit."
_UNTOLD = re.compile("last error(?!.*(HTTP/2|ALPN))")
"""Of gRPC's texts those that may stand for certificates. Of the errors of a host's addresses it shows a single one."""
_REMEDIES = {"CREDENTIALS_MISSING": "Set MARQUEE_TOKEN, or MARQUEE_TOKEN_FILE to the path of the token."}
"""What the caller may do here, which no server can know."""


def error_of(error: grpc.RpcError, address: Address, tls: Tls | None, request_id: str) -> MarqueeError:
    """Return the exception for the reason in the server's status, else for gRPC's code.

    Takes a few seconds at most where a TLS handshake failed.
    """
    status = _status_of(error)
    if status is None:
        return _from_grpc(error, address, tls, request_id)
    remedy = _REMEDIES.get(status.reason)
    return errors.error_of(replace(status, message=f"{status.message} {remedy}") if remedy else status, request_id)


def parsed(response: M | None) -> M:
    """Return the response. Raises InternalError for None, which is how grpc.aio delivers bytes that do not parse."""
    if response is None:
        raise InternalError(_UNREADABLE, code="INTERNAL")
    return response


def _status_of(error: grpc.RpcError) -> Status | None:
    trailing: Any = error.trailing_metadata() or ()  # pairs; the published types say otherwise
    details = next((value for key, value in trailing if key == _DETAILS_KEY), b"")
    try:
        status = status_pb2.Status.FromString(details)
    except DecodeError:
        return None
    return read_status(status) if status.code else None


def _from_grpc(error: grpc.RpcError, address: Address, tls: Tls | None, request_id: str) -> MarqueeError:
    code, details = error.code().name, error.details() or ""
    if code == "UNAVAILABLE" or "http2 header" in details:
        if fault := _fault(address, tls, details):
            return TlsError(fault.message, code="UNAVAILABLE", reason=fault.reason, request_id=request_id)
        message = f"{_unreachable(address, details)} ({details})"
        return Unreachable(message, code="UNAVAILABLE", request_id=request_id)
    if details.startswith("Exception deserializing"):
        details = _UNREADABLE
    if code == "DEADLINE_EXCEEDED":
        details = f"No response from {address.text} in time; use a longer timeout.{_through(address)}"
    if code == "UNIMPLEMENTED":
        details = (
            f"The server at {address.text} does not support this call: perhaps it is not Marquee, or too old. "
            f"Use {address.role.other}.{_through(address)} ({details})"
        )
    return errors.error_of(Status(code, details), request_id)


def _fault(address: Address, tls: Tls | None, details: str) -> Fault | None:
    """Return what is wrong with the certificates, if that can be told."""
    if _UNTOLD.search(details) and not proxy_of(address) and (fault := fault_of(address, tls)):
        return fault
    return fault_in(details, address, tls) if tls else None


def _unreachable(address: Address, details: str) -> str:
    if through := _through(address):
        return f"There is no connection to {address.text}.{through}"
    hint = next(hint for pattern, hint in _HINTS if re.search(pattern, details))
    return hint.format(address.text, variable=address.role.variable)


def _through(address: Address) -> str:
    """Return a sentence about the proxy, after a blank; empty without one."""
    if (proxy := proxy_of(address)) is None:
        return ""
    return (
        f" The variable {proxy.variable} names the proxy {proxy.address}, through which gRPC connects: "
        f"add {address.host} to no_proxy to connect directly."
    )
