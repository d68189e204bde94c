"""Certificates, tokens and registers of callers, as Secrets of a cluster."""

import base64
import hashlib
import json
import secrets

import trustme

from services.names import SERVERS
from tests.cluster import cluster

TLS, CALLERS, CLIENT = "marquee-tls", "marquee-callers", "marquee-client"


class Credentials:
    """A certificate for all servers, and the tokens of one caller; each can be replaced at any time."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._ca = trustme.CA()
        self.token = secrets.token_urlsafe(32)

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
        """Write the register, in which the caller has these tokens."""
        digests = [hashlib.sha256(token.encode()).hexdigest() for token in tokens]
        lines = [f"sha256:{digest} name=load scopes=recognize\n" for digest in digests]
        self._write(CALLERS, {"callers": "".join(lines).encode()})

    def use(self, token: str) -> None:
        """Give the caller the token to call with."""
        self.token = token
        self._write(CLIENT, {"token": token.encode(), "ca.crt": self.ca})

    def _write(self, name: str, data: dict[str, bytes]) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(secret), namespace=self._namespace)
