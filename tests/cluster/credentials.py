"""Certificates, tokens and registers of callers, as Secrets of a cluster."""

import base64
import json

import trustme

from services.names import SERVERS
from tests.cluster import cluster
from tests.support.doors import line

TLS, CALLERS, CLIENT = "marquee-tls", "marquee-callers", "marquee-client"


class Credentials:
    """The certificate of all servers, the register, and what its caller calls with, which can all be replaced."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._ca = trustme.CA()

    @property
    def ca(self) -> bytes:
        """Certificate of the authority, PEM."""
        return self._ca.cert_pem.bytes()

    def renew_certificate(self) -> None:
        """Write a new certificate of the same authority, with the names of all components."""
        names = [f"marquee-{component}.{self._namespace}.svc" for component in (*SERVERS, "gateway-headless")]
        issued = self._ca.issue_cert(*names, "localhost")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        self._write(TLS, {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes(), "ca.crt": self.ca})

    def admit(self, *tokens: str) -> None:
        """Write the register: a caller who has these tokens."""
        self._write(CALLERS, {"callers": "".join(map(line, tokens)).encode()})

    def use(self, token: str) -> None:
        """Write what the caller calls with."""
        self._write(CLIENT, {"token": token.encode(), "ca.crt": self.ca})

    def _write(self, name: str, data: dict[str, bytes]) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(secret), namespace=self._namespace)
