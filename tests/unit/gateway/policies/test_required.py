"""Required recognizers: without them a call fails, and where it may have been billed no client tries it again."""

from pathlib import Path

import grpc
import pytest

import marquee
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.policy.required import missing
from services.runtime import status
from services.runtime.errors import DependencyUnavailable, InvalidImage, NotReady, Throttled
from tests.support.policies import CELEBRITIES, asking, knowing, policy_client, policy_gateway, priced
from tests.support.servers import Scripted, Stub, code_and_reason, leaf, outcomes, refusal, stub

SERVICE_CONFIG = (Path(marquee.__file__).parent / "service_config.json").read_text("utf-8")


def failing(name: str, error: Exception) -> Scripted:
    return Scripted(name, error=error, features=tuple(CELEBRITIES))


def result(name: str, outcome: str, message: str = "") -> pb.RecognizerResult:
    return pb.RecognizerResult(recognizer=name, outcome=f"OUTCOME_{outcome}", status={"message": message})


@pytest.mark.parametrize(
    ("required", "names"),
    {
        "there": (["ok", "part"], []),
        "failed": (["ok", "late", "full"], ["late", "full"]),
        "skipped": (["none"], ["none"]),
        "not there at all": (["other"], ["other"]),
        "one behind a gateway": (["west/ok", "west/bad"], ["west/bad"]),
        "a gateway, of which one failed": (["west"], ["west/bad"]),
        "a gateway, of which one does nothing of it": (["east"], []),
        "one behind a gateway that failed": (["north/svm"], ["north"]),
    }.values(),
)
def test_missing_is_who_has_no_result(required: list[str], names: list[str]) -> None:
    """A required recognizer is missing unless it is OK or PARTIAL; a gateway, if any behind it failed."""
    results = [
        *(result("ok", "OK"), result("part", "PARTIAL"), result("late", "TIMEOUT"), result("full", "SHED")),
        *(result("none", "SKIPPED"), result("west/ok", "OK"), result("west/bad", "ERROR")),
        *(result("east/ok", "OK"), result("east/none", "SKIPPED"), result("north", "ERROR")),
    ]
    assert list(missing(required, results)) == names


async def test_fails_with_its_code_and_name() -> None:
    """Without a required recognizer the call fails with its code, and names it although others have answered."""
    async with policy_client(failing("svm", InvalidImage("Not a picture.")), knowing("aws")) as client:
        refused = await refusal(client, asking("ALL", required=["svm"]))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "INVALID_IMAGE")
    assert refused.message == "Required, and missing: svm: Not a picture."


async def test_several_that_differ_are_unavailable() -> None:
    """If the missing ones failed in different ways, the call is UNAVAILABLE, names all, and has each status."""
    recognizers = [failing("svm", InvalidImage("Bad.")), failing("keras", Throttled("Slow.")), knowing("aws")]
    async with policy_client(*recognizers) as client:
        refused = await refusal(client, asking("ALL", required=["keras", "svm", "aws"]))
    assert code_and_reason(refused) == ("UNAVAILABLE", "REQUIRED_RECOGNIZER_MISSING")
    assert refused.message == "Required, and missing: keras: Slow. svm: Bad."
    assert len(refused.details) == 3  # and the ErrorInfo


async def test_one_that_does_nothing_of_it_is_missing() -> None:
    """A required recognizer that performs none of the features is FAILED_PRECONDITION."""
    async with policy_client(Scripted("keras", features=(pb.FEATURE_LABELS,)), knowing("svm")) as client:
        refused = await refusal(client, asking("ALL", required=["keras"]))
    assert code_and_reason(refused) == ("FAILED_PRECONDITION", "REQUIRED_RECOGNIZER_MISSING")


async def test_a_leaf_keeps_to_it_too() -> None:
    """A recognizer that is required of itself fails where it would be SKIPPED otherwise."""
    async with leaf(Scripted("keras", features=(pb.FEATURE_LABELS,))) as address, stub(address) as client:
        response = await client.RecognizeImage(asking("ALL"))
        refused = await refusal(client, asking("ALL", required=["keras"]))
    assert outcomes(response) == {"keras": "SKIPPED"}
    assert code_and_reason(refused) == ("FAILED_PRECONDITION", "REQUIRED_RECOGNIZER_MISSING")


@pytest.mark.parametrize("policy", ["ALL", "FIRST_CONFIDENT", "CASCADE"])
async def test_a_call_that_fails_anyway_waits_for_nobody(policy: str) -> None:
    """Once a required recognizer has failed, nobody else is waited for, nor asked in a cascade."""
    other = knowing("aws", seconds=600)
    async with policy_client(failing("svm", InvalidImage("Bad.")), other) as client:
        refused = await refusal(client, asking(policy, required=["svm"]))
    assert status.code_of(refused) is grpc.StatusCode.INVALID_ARGUMENT
    assert policy != "CASCADE" or other.calls == []


async def test_names_of_a_gateway_behind_are_required_there() -> None:
    """region/svm is required although `region` answers, and its code is the call's."""
    behind = (failing("svm", InvalidImage("Bad.")), knowing("keras"))
    async with policy_gateway(*behind) as region, policy_client(knowing("aws"), inner=region) as client:
        refused = await refusal(client, asking("ALL", required=["region/svm"]))
        response = await client.RecognizeImage(asking("ALL", required=["region/keras"]))
    assert status.code_of(refused) is grpc.StatusCode.INVALID_ARGUMENT
    assert "svm" in refused.message
    assert outcomes(response)["region/svm"] == "ERROR"


@pytest.mark.parametrize(
    ("price", "required", "attempts"),
    [(0, ["aws"], 6), (1000, ["aws"], 1), (1000, [], 1)],
    ids=["free", "paid and required", "paid, and nobody answers"],
)
async def test_a_client_does_not_pay_twice(price: int, required: list[str], attempts: int) -> None:
    """With the client's service config a call that may have been billed is made once.

    Any other is tried three times, and each time the gateway tries a free recognizer twice.
    """
    paid = priced(failing("aws", DependencyUnavailable("Amazon is away.")), price)
    others = [failing("svm", NotReady("Not yet."))] if not required else [knowing("svm")]
    options = [("grpc.service_config", SERVICE_CONFIG)]
    async with policy_gateway(paid, *others) as address, grpc.aio.insecure_channel(address, options) as channel:
        calls = len(paid.calls)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Stub(channel).RecognizeImage(asking("ALL", required=required), timeout=60)
    assert (caught.value.code(), len(paid.calls) - calls) == (grpc.StatusCode.UNAVAILABLE, attempts)
