"""A real Prometheus, and pages for it to scrape."""

import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.deploy.promtool import program
from tests.support.processes import PATIENCE, free_port, spawn, wait_until


@dataclass(frozen=True)
class Target:
    """An address to scrape, and its labels."""

    address: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the expression's current series. Raises urllib.error.HTTPError if it is invalid."""
        series: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return series

    def metrics(self) -> list[str]:
        """Return the names of all metrics."""
        names: list[str] = self._get("label/__name__/values")
        return names

    def alerts(self) -> dict[str, str]:
        """Return alert → state of the alerts that are pending or firing."""
        return {each["labels"]["alertname"]: each["state"] for each in self._get("alerts")["alerts"]}

    def ready(self) -> bool:
        """Return whether the server accepts queries."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=PATIENCE):  # noqa: S310 - our own server
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - our own server
            return json.load(answer)["data"]


@contextmanager
def prometheus(folder: Path, targets: Sequence[Target], rules: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes and evaluates rules every second."""
    port = free_port()
    (folder / "prometheus.json").write_text(json.dumps(_configuration(targets, rules)))
    arguments = (f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/data")
    command = [program("prometheus"), *arguments, f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log, spawn(command, stdout=log, stderr=log):
        running = Prometheus(f"http://127.0.0.1:{port}")
        wait_until(running.ready)
        yield running


@contextmanager
def page(path: Path) -> Iterator[str]:
    """Serve an exposition at host:port/metrics; its numbers grow with time, except for gauges."""
    text, start = path.read_text(), time.monotonic()
    gauges = set(re.findall(r"# TYPE (\S+) gauge", text))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = "\n".join(_grown(line, gauges, time.monotonic() - start) for line in text.splitlines())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{body}\n".encode())

        def log_message(self, *_: object) -> None:
            """Do not log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def _grown(line: str, gauges: set[str], seconds: float) -> str:
    if line.startswith("#") or re.split("[{ ]", line)[0] in gauges:
        return line
    series, _, value = line.rpartition(" ")
    return f"{series} {float(value) * (1 + seconds)}"


def _configuration(targets: Sequence[Target], rules: Path) -> dict[str, Any]:
    scrapes = [
        {"job_name": f"target-{place}", "static_configs": [{"targets": [each.address], "labels": dict(each.labels)}]}
        for place, each in enumerate(targets)
    ]
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {"global": every, "rule_files": [str(rules)], "scrape_configs": scrapes}
