"""Request bodies written without botocore's JSON encoder carry the same content as botocore's own."""

import json
from typing import Any

import boto3
import pytest

from services.rekognition.aws.calls import connect
from services.rekognition.settings import RekognitionSettings

pytestmark = pytest.mark.slow

PICTURE = bytes(range(256)) * 9 + b"\xff"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "a picture alone": ("recognize_celebrities", {"Image": {"Bytes": PICTURE}}),
    "with more": ("detect_labels", {"Image": {"Bytes": PICTURE}, "MaxLabels": 7, "MinConfidence": 55.5}),
    "with names": ("index_faces", {"CollectionId": 'a"b"', "Image": {"Bytes": PICTURE}, "ExternalImageId": "ü{}"}),
    "an S3 object": ("detect_faces", {"Image": {"S3Object": {"Bucket": "pics", "Name": "a b.jpg"}}}),
    "two pictures": ("compare_faces", {"SourceImage": {"Bytes": PICTURE}, "TargetImage": {"Bytes": PICTURE[:5]}}),
    "none": ("list_collections", {}),
}


class CapturedRequest(Exception):
    """Raised instead of sending a request; holds the body that would have been sent."""

    def __init__(self, request: Any, **_: Any) -> None:
        super().__init__()
        self.body = request.body


def capture(call: str, parameters: dict[str, Any], *, ours: bool, monkeypatch: pytest.MonkeyPatch) -> CapturedRequest:
    """Return the request that our client sends, or the one that a plain boto3 client sends."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = RekognitionSettings(rekognition_region="us-east-1")
    plain = boto3.session.Session(region_name="us-east-1")
    client: Any = connect(settings) if ours else plain.client("rekognition")

    def stop(request: Any, **_: Any) -> None:
        raise CapturedRequest(request)

    client.meta.events.register("before-send.rekognition", stop)
    with pytest.raises(CapturedRequest) as caught:
        getattr(client, call)(**parameters)
    return caught.value


@pytest.mark.parametrize("case", CALLS)
def test_a_body_equals_botocores(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation's body decodes to the same JSON, whatever parameters accompany the picture."""
    call, parameters = CALLS[case]
    own, plain = (capture(call, parameters, ours=ours, monkeypatch=monkeypatch) for ours in (True, False))
    assert json.loads(own.body) == json.loads(plain.body)


def test_the_parameters_are_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller can use the same parameters for another request: they still contain the picture."""
    parameters = {"Image": {"Bytes": PICTURE}}
    first, second = (capture("detect_text", parameters, ours=True, monkeypatch=monkeypatch) for _ in range(2))
    assert first.body == second.body
    assert parameters == {"Image": {"Bytes": PICTURE}}
