"""Servers of other protocols, or of none, on loopback."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

_SECONDS = 30
"""How long a connection may stay silent, so that a client that forgot it does not hold the test."""


class _Listener(socketserver.ThreadingTCPServer):
    request_queue_size = 128


@contextmanager
def listening(answer: Callable[[socket.socket], object], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Yield the address of a server that gives each connection to answer, and then closes it.

    Nothing of it outlives the block, as connections of asyncio do whose loop ends first.

    Args:
        answer: Called in a thread of the connection's own; an OSError in it ends the connection.
        context: The server's side of TLS, without which it speaks plaintext.
    """

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(_SECONDS)
            with ExitStack() as stack, suppress(OSError):  # the client may have gone
                connection = self.request
                if context:
                    wrapped = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                    connection = stack.enter_context(wrapped)
                stack.callback(_end, connection)
                if context:
                    connection.do_handshake()
                answer(connection)

    with _Listener(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _end(connection: socket.socket) -> None:
    """Have the client get all that was sent: closing with bytes unread would reset the connection."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
