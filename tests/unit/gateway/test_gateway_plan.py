"""Which recognizers the gateway calls, with what, and for how long."""

from collections.abc import AsyncIterator

import pytest
from google.protobuf.duration_pb2 import Duration

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backend import ENROLL_FACES, Backend
from services.gateway.config import BackendConfig
from services.gateway.plan import BackendCall, plan_enrollment, plan_recognition
from services.runtime.errors import UnknownRecognizer

Backends = dict[str, Backend]


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    """Two recognizers and a gateway; nobody is asked here."""
    timeouts = {"svm": 5, "keras": 2, "region": 8}
    made = {
        name: Backend(name, BackendConfig(target="localhost:1", timeout=timeout)) for name, timeout in timeouts.items()
    }
    yield made
    for backend in made.values():
        await backend.close()


def planned(backends: Backends, left: float = 12, **fields: object) -> dict[str, BackendCall]:
    request = pb.RecognizeImageRequest(request_id="r", **fields)
    return {call.backend.name: call for call in plan_recognition(request, backends, left, hops=1)}


def sent(call: BackendCall) -> pb.RecognizeImageRequest:
    return pb.RecognizeImageRequest.FromString(call.request)


def seconds(value: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(value * 1e9))
    return duration


async def test_asks_all_in_their_order(backends: Backends) -> None:
    """Who names nobody calls everybody, in the configured order."""
    assert list(planned(backends)) == ["svm", "keras", "region"]


async def test_asks_the_named_in_the_configured_order(backends: Backends) -> None:
    """The order of names in the request does not matter, nor does a name told twice."""
    assert list(planned(backends, recognizers=["keras", "svm", "keras"])) == ["svm", "keras"]


async def test_refuses_an_unknown_name(backends: Backends) -> None:
    """An unknown recognizer is refused, and the known ones are told."""
    with pytest.raises(UnknownRecognizer, match="Available: svm, keras, region") as caught:
        planned(backends, recognizers=["svm", "smv"])
    assert caught.value.metadata["field"] == "recognizers"


async def test_refuses_options_for_an_unknown_name(backends: Backends) -> None:
    """Options for nobody are a mistake, not a silence; the field that has them is named."""
    with pytest.raises(UnknownRecognizer) as caught:
        planned(backends, recognizer_options={"smv": pb.RecognizerOptions(min_score=0.5)})
    assert caught.value.metadata["field"] == "recognizer_options"


async def test_each_gets_its_own_timeout(backends: Backends) -> None:
    """With time to spare each recognizer has what the operator gives it."""
    assert {name: call.timeout for name, call in planned(backends, 60).items()} == {"svm": 5, "keras": 2, "region": 8}


async def test_nobody_gets_all_of_the_callers_time(backends: Backends) -> None:
    """A tenth of the caller's time is kept back, so that the answer leaves before the caller does."""
    assert [call.timeout for call in planned(backends, 1).values()] == pytest.approx([0.9, 0.9, 0.9])


async def test_what_is_kept_back_has_a_limit(backends: Backends) -> None:
    """Of a long deadline no more than a quarter of a second is kept back."""
    assert planned(backends, 5)["svm"].timeout == pytest.approx(4.75)


async def test_no_time_left_is_no_time(backends: Backends) -> None:
    """A caller whose deadline has passed gives nobody any time."""
    assert {call.timeout for call in planned(backends, 0).values()} == {0}


async def test_an_option_shortens_a_timeout(backends: Backends) -> None:
    """A recognizer's timeout in the request holds for it alone."""
    calls = planned(backends, recognizer_options={"svm": pb.RecognizerOptions(timeout=seconds(0.5))})
    assert (calls["svm"].timeout, calls["keras"].timeout) == (0.5, 2)


async def test_an_option_cannot_pass_the_operators_timeout(backends: Backends) -> None:
    """A request may ask for less time than the operator allows, never for more."""
    calls = planned(backends, recognizer_options={"keras": pb.RecognizerOptions(timeout=seconds(9))})
    assert calls["keras"].timeout == 2


async def test_min_score_is_replaced_for_one(backends: Backends) -> None:
    """A recognizer's own min_score replaces the call's, for it alone; 0 is a value as well."""
    calls = planned(backends, min_score=0.5, recognizer_options={"svm": pb.RecognizerOptions(min_score=0)})
    assert (sent(calls["svm"]).min_score, sent(calls["keras"]).min_score) == (0, 0.5)


async def test_nobody_sees_what_concerns_others(backends: Backends) -> None:
    """Names, options and policy are the gateway's: a recognizer, which would refuse them, does not get them."""
    calls = planned(
        backends,
        recognizers=["svm", "keras"],
        policy=pb.POLICY_ALL,
        recognizer_options={"keras": pb.RecognizerOptions(min_score=0.5)},
    )
    svm = sent(calls["svm"])
    assert (list(svm.recognizers), dict(svm.recognizer_options), svm.policy) == ([], {}, pb.POLICY_UNSPECIFIED)


async def test_all_else_is_passed_on(backends: Backends) -> None:
    """Picture, request_id and all that is asked for reach every recognizer."""
    fields: dict[str, object] = {
        "image": pb.Image(content=b"bytes"),
        "features": [pb.FEATURE_TEXT],
        "max_labels": 3,
        "collection": "staff",
        "include_embeddings": True,
        "no_cache": True,
    }
    expected = pb.RecognizeImageRequest(request_id="r", **fields)
    assert [sent(call) for call in planned(backends, **fields).values()] == [expected] * 3


async def test_a_name_behind_a_gateway_asks_that_one(backends: Backends) -> None:
    """region/svm calls the gateway `region` for its `svm` and nobody else."""
    calls = planned(backends, recognizers=["region/svm", "region/inner/keras"])
    assert {name: list(sent(call).recognizers) for name, call in calls.items()} == {"region": ["svm", "inner/keras"]}


async def test_a_gateways_name_asks_all_behind_it(backends: Backends) -> None:
    """The name of a gateway means everything behind it, even beside the name of one of them."""
    calls = planned(backends, recognizers=["region/svm", "region"])
    assert list(sent(calls["region"]).recognizers) == []


async def test_options_travel_to_the_gateway_that_they_name(backends: Backends) -> None:
    """Options for region/svm arrive at `region` as options for svm."""
    calls = planned(backends, recognizer_options={"region/svm": pb.RecognizerOptions(min_score=0.5)})
    assert dict(sent(calls["region"]).recognizer_options) == {"svm": pb.RecognizerOptions(min_score=0.5)}
    assert not sent(calls["svm"]).recognizer_options


async def test_recognizers_share_what_is_the_same_for_them(backends: Backends) -> None:
    """A picture is in memory once for all who are asked the same."""
    calls = planned(backends, recognizer_options={"svm": pb.RecognizerOptions(min_score=1)})
    assert calls["keras"].request is calls["region"].request
    assert calls["keras"].request is not calls["svm"].request


async def test_enrollment_shares_pictures_too(backends: Backends) -> None:
    """The pictures of an enrollment are in memory once for all recognizers that get the same request."""
    images = [pb.Image(content=b"one"), pb.Image(content=b"two")]
    request = enrollment_pb2.EnrollFacesRequest(
        person_id="ada", images=images, recognizers=["svm", "keras", "region/svm"]
    )
    svm, keras, region = plan_enrollment(ENROLL_FACES, request, backends, 12, hops=1)
    assert svm.request is keras.request
    assert enrollment_pb2.EnrollFacesRequest.FromString(svm.request) == enrollment_pb2.EnrollFacesRequest(
        person_id="ada", images=images
    )
    assert enrollment_pb2.EnrollFacesRequest.FromString(region.request).recognizers == ["svm"]
    assert (svm.timeout, keras.timeout) == pytest.approx((11.75, 11.75))


async def test_the_callers_request_stays_as_it_is(backends: Backends) -> None:
    """Every recognizer gets a copy."""
    request = pb.RecognizeImageRequest(
        recognizers=["svm"], recognizer_options={"svm": pb.RecognizerOptions(min_score=1)}
    )
    before = request.SerializeToString(deterministic=True)
    plan_recognition(request, backends, 12, hops=1)
    assert request.SerializeToString(deterministic=True) == before
