"""Tests of the stand-in's REST API."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.tf_serving.rest import rest_server
from local.tf_serving.servables import Servables
from tests.support.processes import free_port
from tests.support.tf_serving_models import model_source, write_brightness_model


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> Iterator[str]:
    for version in (1, 2):
        write_brightness_model(tmp_path, version, shape=(None, 4, 4, 3))
    labels = {"canary": 2}
    source, servables = model_source(tmp_path, model_version_policy={"all": {}}, version_labels=labels)
    source.poll()
    source.label(allow_unavailable=False)
    port = free_port()
    with rest_server(servables, "127.0.0.1", port):
        yield f"http://127.0.0.1:{port}"


def _status(version: str) -> dict[str, object]:
    return {"version": version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


@pytest.mark.parametrize(
    ("path", "versions"),
    [("celebrity", ["1", "2"]), ("celebrity/versions/2", ["2"]), ("CELEBRITY/versions/2", None)],
)
def test_status(url: str, path: str, versions: list[str] | None) -> None:
    """A model's state has TensorFlow Serving's form; names are case-sensitive."""
    answer = requests.get(f"{url}/v1/models/{path}", timeout=60)
    if versions is None:
        assert answer.status_code == 404
    else:
        assert answer.json() == {"model_version_status": [_status(version) for version in versions]}


def test_metadata(url: str) -> None:
    """The signature is returned with the fields' own names."""
    answer = requests.get(f"{url}/v1/models/celebrity/labels/canary/metadata", timeout=60).json()
    assert answer["model_spec"]["version"] == "2"
    image = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["image"]
    assert image["dtype"] == "DT_UINT8"
    assert [dimension["size"] for dimension in image["tensor_shape"]["dim"]] == ["-1", "4", "4", "3"]


@pytest.mark.parametrize(
    ("path", "code", "error"),
    [
        ("/v1/models/other", 404, "Could not find any versions of model other"),
        ("/v1/models/celebrity/versions/9", 404, "Could not find version 9 of model celebrity"),
        ("/v1/models", 400, "Missing model name in request."),
        ("/v2/health", 400, "Malformed request: GET /v2/health"),
    ],
)
def test_errors(url: str, path: str, code: int, error: str) -> None:
    """Errors have TensorFlow Serving's codes, texts and form."""
    answer = requests.get(url + path, timeout=60)
    assert (answer.status_code, answer.json()) == (code, {"error": error})
    assert answer.headers["content-type"] == "application/json"


def test_predict_over_rest_is_refused(url: str) -> None:
    """A POST is refused, because predictions are only served over gRPC."""
    assert requests.post(f"{url}/v1/models/celebrity:predict", json={}, timeout=60).status_code == 400


def test_port_in_use() -> None:
    """A port in use is refused."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(OSError, match="Address already in use"),
            rest_server(Servables(), "127.0.0.1", port),
        ):
            pass
