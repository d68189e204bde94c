"""Tests of the stand-in's REST API."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from local.tf_serving import tensors
from local.tf_serving.errors import Refusal
from local.tf_serving.forms.payload import Payload, to_json
from local.tf_serving.rest import rest_server
from local.tf_serving.servables import Servables
from services.keras.serving.tensors import as_values
from tests.support.processes import free_port
from tests.support.tf_serving_models import model_source, write_brightness_model


@pytest.fixture(name="url", scope="module")
def _url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tmp_path = tmp_path_factory.mktemp("models")
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


def _picture(value: int) -> list[list[list[int]]]:
    return [[[value] * 3] * 4] * 4


def _predict(url: str, body: object, path: str = "celebrity") -> tuple[int, Any]:
    answer = requests.post(f"{url}/v1/models/{path}:predict", data=json.dumps(body), timeout=60)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [_picture(255), _picture(0)]}, {"predictions": [[1.0, 0.0], [0.0, 1.0]]}),
        ({"instances": [{"image": _picture(255)}]}, {"predictions": [[1.0, 0.0]]}),
        ({"inputs": [_picture(0)]}, {"outputs": [[0.0, 1.0]]}),
        ({"inputs": {"image": [_picture(0)]}}, {"outputs": [[0.0, 1.0]]}),
        ({"signature_name": "serving_default", "instances": [_picture(0)]}, {"predictions": [[0.0, 1.0]]}),
    ],
)
def test_predictions(url: str, body: object, answer: object) -> None:
    """Pictures one by one give predictions, and inputs give outputs, with or without the input's name."""
    assert _predict(url, body) == (200, answer)


@pytest.mark.parametrize("path", ["celebrity/versions/1", "celebrity/labels/canary", "celebr%69ty"])
def test_predictions_of_a_version(url: str, path: str) -> None:
    """The path may name a version or a label, and may be quoted."""
    assert _predict(url, {"instances": [_picture(255)]}, path) == (200, {"predictions": [[1.0, 0.0]]})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ([], "JSON Value: [] Is not object"),
        ({"instances": 1}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances' keys to exist "),
        ({"signature_name": 1}, "'signature_name' key must be a string value."),
        ({"signature_name": "x", "inputs": 1}, 'Serving signature name: "x" not found in signature def'),
        ({"inputs": {"other": 1}}, "Missing named input: image in 'inputs' object."),
        (
            {"instances": [{"other": 1}]},
            "0 key: other of 'instances' list. Error: INVALID_ARGUMENT: JSON object:",
        ),
        ({"instances": [{}]}, "JSON object: {} keys must be equal to: image"),
        ({"instances": [{"image": 1}, 1]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [1, {"image": 1}]}, "Expecting value/list but got object at item 1 of input list"),
        ({"inputs": "a"}, 'JSON Value: "a" Type: String is not of expected type: uint8'),
        ({"inputs": 1.5}, "JSON Value: 1.5 Type: Number is not of expected type: uint8"),
        ({"inputs": True}, "JSON Value: true Type: True is not of expected type: uint8"),
        ({"inputs": None}, "JSON Value: null Type: Null is not of expected type: uint8"),
        ({"inputs": {"b64": "AA=="}}, "Type: Object is not of expected type: uint8"),
        ({"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ({"inputs": [1, [2]]}, "Encountered list at unexpected level: 1 expected < 1"),
        ({"inputs": [[1], 2]}, "found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        (
            {"instances": [[1], [1, 2]]},
            "element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor",
        ),
        ({"inputs": 2**40}, "is not of expected type: uint8"),
    ],
)
def test_bodies_that_are_refused(url: str, body: object, error: str) -> None:
    """What a body has wrong is told in TensorFlow Serving's words."""
    code, answer = _predict(url, body)
    assert (code, list(answer)) == (400, ["error"])
    assert error in answer["error"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"inputs": ' + b"[" * 100_000, b"\xff", b'{"inputs": 1e999}', b"nul"])
def test_no_json(url: str, body: bytes) -> None:
    """Bytes that are not JSON, or too deep, are refused as such."""
    answer = requests.post(f"{url}/v1/models/celebrity:predict", data=body, timeout=60)
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "code", "error"),
    [
        ("other", 404, "Servable not found for request: Latest(other)"),
        ("celebrity/versions/9", 404, "Servable not found for request: Specific(celebrity, 9)"),
        ("celebrity/labels/gold", 400, "Unrecognized servable version label: gold"),
        ("celebrity/versions/99999999999999999999", 400, "Failed to convert version: 99999999999999999999 to numeric."),
        ("celebrity/labels/", 400, "Malformed request: POST /v1/models/celebrity/labels/:predict"),
    ],
)
def test_models_that_are_not_there(url: str, path: str, code: int, error: str) -> None:
    """A model, version or label that is not served has the code that gRPC's becomes."""
    assert _predict(url, {"inputs": [_picture(0)]}, path) == (code, {"error": error})


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1.0"), (0.5, "0.5"), (0.1, "0.1"), (1 / 3, "0.333333343"), (3e-5, "3e-05"), (2e7, "2e+07"), (-0.0, "-0.0")],
)
def test_numbers_are_exact_and_short(value: float, text: str) -> None:
    """A number has six digits if they are exact and nine otherwise, and is always a decimal one."""
    outputs = {"scores": as_values(np.array([value], np.float32))}
    assert to_json(outputs, is_row=False).split() == ["{", '"outputs":', f"[{text}]", "}"]


def test_several_outputs_are_an_object() -> None:
    """Outputs have their names if there are several; strings of one whose name ends in _bytes are base64."""
    outputs = {
        "a": as_values(np.array([[1], [2]], np.int64)),
        "b_bytes": tensors.to_proto(np.array([b"\xff", b"x"], object)),
    }
    rows = [{"a": [1], "b_bytes": {"b64": "/w=="}}, {"a": [2], "b_bytes": {"b64": "eA=="}}]
    assert json.loads(to_json(outputs, is_row=True)) == {"predictions": rows}
    columns = {"a": [[1], [2]], "b_bytes": [{"b64": "/w=="}, {"b64": "eA=="}]}
    assert json.loads(to_json(outputs, is_row=False)) == {"outputs": columns}


def test_bytes_are_base64() -> None:
    """A string input takes text, and bytes in base64."""
    infos = {"text": meta_graph_pb2.TensorInfo(dtype=types_pb2.DT_STRING)}
    body = json.dumps({"instances": ["é", {"b64": "/w=="}]}).encode()
    assert list(Payload(body).inputs(infos)["text"].string_val) == ["é".encode(), b"\xff"]
    with pytest.raises(Refusal, match="Unable to base64 decode"):
        Payload(b'{"inputs": {"b64": "?"}}').inputs(infos)


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
