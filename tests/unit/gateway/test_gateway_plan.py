"""The gateway's plan of a call: which recognizers it calls, with which requests and timeouts."""

import tracemalloc
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.backend import ENROLL_FACES, Backend
from services.gateway.backends.models import Told
from services.gateway.config import BackendConfig, Veto
from services.gateway.plan import BackendCall, plan_enrollment, plan_recognition
from services.runtime.errors import InvalidRequest, UnknownRecognizer
from services.runtime.limits import MIB
from services.runtime.messages.envelope import Envelope, read

Backends = dict[str, Backend]
M = TypeVar("M", bound=Message)


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    """Yield two recognizers and a gateway, which are never called."""
    timeouts = {"svm": 5, "keras": 2, "region": 8}
    backends = {
        name: Backend(name, BackendConfig(target="localhost:1", timeout=timeout)) for name, timeout in timeouts.items()
    }
    yield backends
    for backend in backends.values():
        await backend.close()


def plan(backends: Backends, veto: Veto | None = None, **fields: object) -> dict[str, BackendCall]:
    received = envelope_of(pb.RecognizeImageRequest(request_id="r", **fields))
    return {call.backend.name: call for call in plan_recognition(received, backends, 1, veto).calls}


def envelope_of(request: M) -> Envelope[M]:
    return read(request.SerializeToString(), type(request))


def request_of(call: BackendCall) -> pb.RecognizeImageRequest:
    return pb.RecognizeImageRequest.FromString(call.request)


def seconds(value: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(value * 1e9))
    return duration


async def test_calls_all_in_the_configured_order(backends: Backends) -> None:
    """A request that names no recognizer calls all of them, in the configured order."""
    assert list(plan(backends)) == ["svm", "keras", "region"]


async def test_calls_the_named_in_the_configured_order(backends: Backends) -> None:
    """The order of names in the request does not matter, nor does a repeated name."""
    assert list(plan(backends, recognizers=["keras", "svm", "keras"])) == ["svm", "keras"]


async def test_refuses_an_unknown_name(backends: Backends) -> None:
    """An unknown recognizer is refused with a list of the known ones."""
    with pytest.raises(UnknownRecognizer, match="Available: svm, keras, region") as caught:
        plan(backends, recognizers=["svm", "smv"])
    assert caught.value.metadata["field"] == "recognizers"


async def test_refuses_options_for_an_unknown_name(backends: Backends) -> None:
    """Options for an unknown recognizer are refused, and the error names their field."""
    with pytest.raises(UnknownRecognizer) as caught:
        plan(backends, recognizer_options={"smv": pb.RecognizerOptions(min_score=0.5)})
    assert caught.value.metadata["field"] == "recognizer_options"


async def test_each_gets_its_own_timeout(backends: Backends) -> None:
    """If the deadline is far enough, each recognizer gets its configured timeout."""
    assert {name: call.timeout for name, call in plan(backends).items()} == {"svm": 5, "keras": 2, "region": 8}


async def test_an_option_shortens_a_timeout(backends: Backends) -> None:
    """A recognizer's timeout in the request applies to that recognizer only."""
    calls = plan(backends, recognizer_options={"svm": pb.RecognizerOptions(timeout=seconds(0.5))})
    assert (calls["svm"].timeout, calls["keras"].timeout) == (0.5, 2)


async def test_an_option_cannot_pass_the_operators_timeout(backends: Backends) -> None:
    """A request can shorten the operator's timeout, but not extend it."""
    calls = plan(backends, recognizer_options={"keras": pb.RecognizerOptions(timeout=seconds(9))})
    assert calls["keras"].timeout == 2


async def test_no_recognizer_gets_a_min_score(backends: Backends) -> None:
    """All scores are asked for, also behind a gateway: verdicts are made of them, and then some are left out."""
    options = {name: pb.RecognizerOptions(min_score=0.5) for name in ("svm", "region/svm")}
    requests = [request_of(call) for call in plan(backends, min_score=0.5, recognizer_options=options).values()]
    assert not any(one.HasField("min_score") for one in requests)
    assert not any(each.HasField("min_score") for one in requests for each in one.recognizer_options.values())


async def test_recognizers_get_no_gateway_fields(backends: Backends) -> None:
    """A recognizer's request has no names, options or policy, which it would refuse: they are for the gateway."""
    calls = plan(
        backends,
        recognizers=["svm", "keras"],
        policy=pb.POLICY_ALL,
        recognizer_options={"keras": pb.RecognizerOptions(min_score=0.5)},
    )
    svm = request_of(calls["svm"])
    assert (list(svm.recognizers), dict(svm.recognizer_options), svm.policy) == ([], {}, pb.POLICY_UNSPECIFIED)


async def test_a_policy_goes_on_to_gateways(backends: Backends) -> None:
    """A policy goes on to a recognizer that has told to be a gateway, unless all that is behind it is required."""
    backends["region"].models.told = Told(is_gateway=True)
    for required, policy in (([], pb.POLICY_CASCADE), (["region"], pb.POLICY_UNSPECIFIED)):
        calls = plan(backends, policy=pb.POLICY_CASCADE, required=required)
        policies = {name: request_of(call).policy for name, call in calls.items()}
        assert policies == {"svm": pb.POLICY_UNSPECIFIED, "keras": pb.POLICY_UNSPECIFIED, "region": policy}


async def test_required_names_go_on_to_the_gateway_that_they_name(backends: Backends) -> None:
    """region/svm is required of `region` as svm, and nothing is required of others."""
    calls = plan(backends, required=["region/svm", "keras"])
    assert {name: list(request_of(call).required) for name, call in calls.items()} == {
        "svm": [],
        "keras": [],
        "region": ["svm"],
    }


@pytest.mark.parametrize(
    ("required", "recognizers", "error"),
    [
        ("smv", [], UnknownRecognizer),
        ("keras", ["svm"], InvalidRequest),
        ("region", ["region/svm"], InvalidRequest),
        ("region/svm", ["region/keras"], InvalidRequest),
    ],
)
async def test_refuses_what_cannot_be_there(
    backends: Backends, required: str, recognizers: list[str], error: type[InvalidRequest]
) -> None:
    """A required recognizer that there is not, or that the request leaves out, is refused with its field."""
    with pytest.raises(error) as caught:
        plan(backends, required=[required], recognizers=recognizers)
    assert (type(caught.value), caught.value.metadata["field"]) == (error, "required")


async def test_the_vetos_recognizer_is_asked_for_labels(backends: Backends) -> None:
    """In a cascade that may come to a call that costs money, the veto's recognizer is asked for LABELS, too."""
    backends["region"].models.told = Told(prices={pb.FEATURE_CELEBRITIES: 1000})
    veto = Veto(recognizer="keras", label="Non-Celebrity")
    calls = plan(backends, veto, policy=pb.POLICY_CASCADE, features=[pb.FEATURE_CELEBRITIES])
    assert {name: list(request_of(call).features) for name, call in calls.items()} == {
        "svm": [pb.FEATURE_CELEBRITIES],
        "keras": [pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS],
        "region": [pb.FEATURE_CELEBRITIES],
    }


LISTED = {
    "one that gives none": ([pb.Recognizer(state=pb.RECOGNIZER_STATE_READY)], False),
    "one that gives them": ([pb.Recognizer(state=pb.RECOGNIZER_STATE_READY, gives_embeddings=True)], True),
    "one that has not told yet": ([], True),
    "one that still loads": ([pb.Recognizer(state=pb.RECOGNIZER_STATE_LOADING)], True),
    "a gateway before one that gives them": (
        [
            pb.Recognizer(name="region/keras", state=pb.RECOGNIZER_STATE_READY),
            pb.Recognizer(name="region/svm", state=pb.RECOGNIZER_STATE_READY, gives_embeddings=True),
        ],
        True,
    ),
}


@pytest.mark.parametrize(("recognizers", "expected"), LISTED.values(), ids=LISTED)
async def test_who_gives_embeddings_is_asked_for_them(
    backends: Backends, recognizers: list[pb.Recognizer], *, expected: bool
) -> None:
    """Embeddings are asked of recognizers that give them, or may; of others never, so that their answers are kept."""
    backends["svm"].models.told = Told(recognizers)
    calls = plan(backends, include_embeddings=True)
    assert request_of(calls["svm"]).include_embeddings == expected
    assert not request_of(plan(backends)["svm"]).include_embeddings


async def test_passes_on_all_other_fields(backends: Backends) -> None:
    """Every recognizer gets the picture, the request_id and all other fields of the request."""
    fields: dict[str, object] = {
        "image": pb.Image(content=b"bytes"),
        "features": [pb.FEATURE_TEXT],
        "max_labels": 3,
        "collection": "staff",
        "include_embeddings": True,
        "no_cache": True,
    }
    expected = pb.RecognizeImageRequest(request_id="r", **fields)
    assert [request_of(call) for call in plan(backends, **fields).values()] == [expected] * 3


async def test_a_name_behind_a_gateway_selects_that_one(backends: Backends) -> None:
    """A request for region/svm asks the gateway `region` for its `svm` only."""
    calls = plan(backends, recognizers=["region/svm", "region/inner/keras"])
    assert {name: list(request_of(call).recognizers) for name, call in calls.items()} == {
        "region": ["svm", "inner/keras"]
    }


async def test_a_gateways_name_selects_all_behind_it(backends: Backends) -> None:
    """A gateway's name means everything behind it, even if one recognizer behind it is named as well."""
    calls = plan(backends, recognizers=["region/svm", "region"])
    assert list(request_of(calls["region"]).recognizers) == []


async def test_options_travel_to_the_gateway_that_they_name(backends: Backends) -> None:
    """Options for region/svm reach `region` as options for svm."""
    calls = plan(backends, recognizer_options={"region/svm": pb.RecognizerOptions(timeout=seconds(0.5))})
    assert dict(request_of(calls["region"]).recognizer_options) == {"svm": pb.RecognizerOptions(timeout=seconds(0.5))}
    assert not request_of(calls["svm"]).recognizer_options


async def test_recognizers_share_equal_requests(backends: Backends) -> None:
    """A picture is in memory once for all recognizers that get the same request."""
    calls = plan(backends, recognizers=["svm", "keras", "region/svm"])
    assert calls["keras"].request is calls["svm"].request
    assert calls["keras"].request is not calls["region"].request


async def test_a_picture_is_copied_once(backends: Backends) -> None:
    """From the received bytes to the messages for all recognizers a picture is copied once, and never parsed."""
    data = pb.RecognizeImageRequest(image=pb.Image(content=bytes(MIB))).SerializeToString()
    tracemalloc.start()
    received = read(data, pb.RecognizeImageRequest)
    plan_recognition(received, backends, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (received.request.image.content, received.sizes) == (b"", [MIB])
    assert peak < 1.5 * MIB


async def test_enrollment_shares_pictures_too(backends: Backends) -> None:
    """The pictures of an enrollment are in memory once for all recognizers that get the same request."""
    images = [pb.Image(content=b"one"), pb.Image(content=b"two")]
    request = enrollment_pb2.EnrollFacesRequest(
        person_id="ada", images=images, recognizers=["svm", "keras", "region/svm"]
    )
    svm, keras, region = plan_enrollment(ENROLL_FACES, envelope_of(request), backends, 12, hops=1)
    assert svm.request is keras.request
    assert enrollment_pb2.EnrollFacesRequest.FromString(svm.request) == enrollment_pb2.EnrollFacesRequest(
        person_id="ada", images=images
    )
    assert enrollment_pb2.EnrollFacesRequest.FromString(region.request).recognizers == ["svm"]
    assert (svm.timeout, keras.timeout) == (12, 12)


async def test_the_callers_request_stays_unchanged(backends: Backends) -> None:
    """Planning leaves the caller's request unchanged: every recognizer gets a copy."""
    request = pb.RecognizeImageRequest(
        recognizers=["svm"], recognizer_options={"svm": pb.RecognizerOptions(min_score=1)}
    )
    plan_recognition(received := envelope_of(request), backends, 1)
    assert received.request == request
