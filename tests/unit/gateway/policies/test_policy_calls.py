"""What a gateway's caller gets, waits for and pays under each policy."""

import asyncio

import grpc
import pytest
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.backends.models import Told
from services.runtime.errors import Throttled
from tests.support.policies import CELEBRITIES, PRICE, asking, knowing, policy_client, policy_gateway, priced
from tests.support.servers import LEFT, Scripted, face, outcomes, until

POLICIES = ("ALL", "FIRST_CONFIDENT", "CASCADE")
VETO = {"recognizer": "keras", "label": "Non-Celebrity"}


def saved_dollars(name: str) -> float:
    return REGISTRY.get_sample_value("marquee_policy_saved_dollars_total", {"recognizer": name}) or 0


def message_of(response: pb.RecognizeImageResponse, name: str) -> str:
    return next(one.status.message for one in response.results if one.recognizer == name)


def keras(label: str = "Non-Celebrity") -> Scripted:
    return Scripted(
        "keras", result=pb.RecognizerResult(labels=[pb.Label(name=label, score=0.95)]), features=(pb.FEATURE_LABELS,)
    )


async def test_all_waits_for_all() -> None:
    """ALL asks everybody and saves nothing, however sure the first answer is."""
    async with policy_client(knowing("svm"), knowing("aws", price=PRICE)) as client:
        response = await client.RecognizeImage(asking("ALL"))
    assert outcomes(response) == {"svm": "OK", "aws": "OK"}
    assert (response.cost_micro_usd, response.saved_micro_usd) == (PRICE, 0)


async def test_first_confident_waits_for_nobody_else() -> None:
    """FIRST_CONFIDENT answers once the answer is sure; whoever is left is cancelled, SKIPPED, and perhaps billed."""
    slow = knowing("keras", seconds=600)
    paid = knowing("aws", price=PRICE, seconds=600)
    async with policy_client(slow, knowing("svm", until=lambda: slow.calls and paid.calls), paid) as client:
        response = await client.RecognizeImage(asking("FIRST_CONFIDENT"))
        await until(lambda: slow.cancelled)  # a paid call goes on: its answer is kept
    assert outcomes(response) == {"keras": "SKIPPED", "svm": "OK", "aws": "SKIPPED"}
    assert message_of(response, "aws") == "Cancelled: the results before it are sure."
    assert [one.cost_micro_usd for one in response.results] == [0, 0, PRICE]
    assert (response.cost_micro_usd, response.saved_micro_usd) == (PRICE, 0)
    assert [one.display_name for one in response.verdicts] == ["Ada"]


async def test_first_confident_hears_the_cache_first() -> None:
    """FIRST_CONFIDENT pays for no call whose answer it would cancel, if a cached one is sure."""
    paid = knowing("aws", price=PRICE)
    async with policy_client(paid, knowing("svm")) as client:
        await client.RecognizeImage(asking("ALL", recognizers=["svm"]))
        messages = [message async for message in client.StreamRecognizeImage(asking("FIRST_CONFIDENT"))]
    assert [[one.recognizer for one in message.results] for message in messages] == [["svm"], ["aws"], []]
    assert messages[0].results[0].from_cache
    assert (paid.calls, messages[-1].cost_micro_usd, messages[-1].saved_micro_usd) == ([], 0, PRICE)


async def test_a_cascade_ends_when_it_is_sure() -> None:
    """CASCADE asks nobody after a sure answer; those are SKIPPED, cost nothing, and their price was saved."""
    paid = knowing("aws", price=PRICE)
    before = saved_dollars("aws")
    async with policy_client(knowing("svm"), paid) as client:
        response = await client.RecognizeImage(asking("CASCADE"))
    assert outcomes(response) == {"svm": "OK", "aws": "SKIPPED"}
    assert message_of(response, "aws") == "Not asked: the results before it are sure."
    assert (response.cost_micro_usd, response.saved_micro_usd, paid.calls) == (0, PRICE, [])
    assert saved_dollars("aws") - before == pytest.approx(PRICE / 1e6)


async def test_calls_are_counted_by_policy() -> None:
    """Operators see how often each policy is asked for; a call that names none is one of ALL."""
    counted = {"CASCADE": "cascade", "UNSPECIFIED": "all"}
    before = {label: _calls(label) for label in counted.values()}
    async with policy_client(knowing("svm")) as client:
        for policy in counted:
            await client.RecognizeImage(asking(policy))
    assert {label: _calls(label) - before[label] for label in before} == {"cascade": 1, "all": 1}


def _calls(policy: str) -> float:
    return REGISTRY.get_sample_value("marquee_policy_calls_total", {"policy": policy}) or 0


@pytest.mark.parametrize(
    "first",
    [
        knowing("svm", 0.5),
        Scripted("svm", result=pb.RecognizerResult(faces=[face(LEFT)])),
        Scripted("svm"),
        Scripted("svm", error=Throttled("slow")),
    ],
    ids=["less sure", "unknown", "no face", "a failure"],
)
@pytest.mark.parametrize("policy", ["FIRST_CONFIDENT", "CASCADE"])
async def test_goes_on_while_it_is_not_sure(policy: str, first: Scripted) -> None:
    """While the answer is not sure, the next recognizer is asked, and what it says counts."""
    async with policy_client(first, knowing("aws")) as client:
        response = await client.RecognizeImage(asking(policy))
    assert outcomes(response)["aws"] == "OK"
    assert [one.display_name for one in response.verdicts] == ["Ada"]


async def test_the_operator_says_how_sure() -> None:
    """`confident_score` is the operator's, for all recognizers and for one."""
    async with policy_client(knowing("svm", 0.6), knowing("aws"), confident_score=0.5) as client:
        response = await client.RecognizeImage(asking("CASCADE"))
    assert outcomes(response) == {"svm": "OK", "aws": "SKIPPED"}


async def test_required_recognizers_are_asked_in_any_case() -> None:
    """A required recognizer is asked and waited for, however sure the others are."""
    for policy in POLICIES:
        async with policy_client(knowing("svm"), knowing("keras"), knowing("aws", seconds=0.1)) as client:
            response = await client.RecognizeImage(asking(policy, required=["aws"]))
        assert outcomes(response)["aws"] == "OK"


async def test_a_veto_saves_the_paid_call() -> None:
    """A veto ends a cascade before a call that costs money, and the labels that only it wanted are left out."""
    paid = knowing("aws", price=PRICE)
    async with policy_client(keras(), Scripted("svm", features=(pb.FEATURE_CELEBRITIES,)), paid, veto=VETO) as client:
        response = await client.RecognizeImage(asking("CASCADE"))
    assert outcomes(response) == {"keras": "SKIPPED", "svm": "OK", "aws": "SKIPPED"}
    assert message_of(response, "aws") == "Not asked: keras says Non-Celebrity."
    assert (paid.calls, list(response.labels), response.saved_micro_usd) == ([], [], PRICE)


async def test_without_its_label_a_veto_changes_nothing() -> None:
    """If the veto's recognizer has another label, the paid recognizer is asked, and no labels are in the answer."""
    async with policy_client(keras("Celebrity"), knowing("aws", price=PRICE), veto=VETO) as client:
        response = await client.RecognizeImage(asking("CASCADE"))
        everything = await client.RecognizeImage(asking("CASCADE", features=[]))
    assert (outcomes(response), list(response.labels)) == ({"keras": "SKIPPED", "aws": "OK"}, [])
    assert [label.name for label in everything.labels] == ["Celebrity"]


@pytest.mark.parametrize("policy", POLICIES)
async def test_cancellation_reaches_every_recognizer(policy: str) -> None:
    """When the caller leaves, every recognizer that was asked is cancelled, and nobody else is asked."""
    recognizers = [knowing("svm", seconds=600), knowing("keras", seconds=600), knowing("aws", seconds=600)]
    expected = 1 if policy == "CASCADE" else 3
    async with policy_client(*recognizers) as client:
        call = client.RecognizeImage(asking(policy))
        await until(lambda: sum(len(one.calls) for one in recognizers) == expected)
        call.cancel()
        await until(lambda: sum(one.cancelled for one in recognizers) == expected)
    assert sum(len(one.calls) for one in recognizers) == expected


async def test_streams_each_result_when_it_is_there() -> None:
    """A cascade's stream sends each result before the next recognizer answers, then those left out and the verdicts."""
    go = asyncio.Event()
    first, second = knowing("svm", 0.5), knowing("keras", until=go.is_set)
    async with policy_client(first, second, knowing("aws", price=PRICE)) as client:
        messages = []
        async for message in client.StreamRecognizeImage(asking("CASCADE")):
            messages.append(message)
            go.set()
    assert [[one.recognizer for one in message.results] for message in messages] == [["svm"], ["keras"], ["aws"], []]
    assert outcomes(messages[2]) == {"aws": "SKIPPED"}
    assert (len(messages[-1].verdicts), messages[-1].saved_micro_usd) == (1, PRICE)


@pytest.mark.parametrize("policy", POLICIES)
async def test_what_was_there_is_delivered(policy: str) -> None:
    """Who is late is a TIMEOUT, in a cascade after a share of the time, and what others found is delivered in time."""
    late = priced(Scripted("svm", seconds=600, features=(pb.FEATURE_CELEBRITIES,)))
    async with policy_client(late, knowing("aws", 0.5)) as client:
        response = await client.RecognizeImage(asking(policy), timeout=1)
    assert outcomes(response) == {"svm": "TIMEOUT", "aws": "OK"}
    assert response.cost_micro_usd == PRICE  # what was late may have been billed


async def test_a_policy_goes_on_to_the_gateway_behind() -> None:
    """A gateway behind a gateway follows the policy, too, and what it leaves out and saves is told."""
    paid = knowing("aws", price=PRICE)
    async with policy_gateway(knowing("svm"), paid) as region, policy_client(inner=region) as client:
        response = await client.RecognizeImage(asking("CASCADE"))
        required = await client.RecognizeImage(asking("CASCADE", required=["region/aws"]))
    assert outcomes(response) == {"region/svm": "OK", "region/aws": "SKIPPED"}
    assert (response.saved_micro_usd, response.cost_micro_usd) == (PRICE, 0)
    assert outcomes(required) == {"region/svm": "SKIPPED", "region/aws": "OK"}


async def test_leaves_offer_no_policy() -> None:
    """A gateway clears the policy before it asks a recognizer, which has no choice and would refuse it."""
    async with policy_client(knowing("svm")) as client:
        response = await client.RecognizeImage(asking("CASCADE"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(asking("CASCADE", recognizers=["aws"]))
    assert outcomes(response) == {"svm": "OK"}
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("names", "price"),
    [([], 3), (["region"], 3), (["region/aws"], 1), (["region/aws", "region/west"], 3), (["region/w"], 0)],
)
def test_the_price_is_that_of_those_who_were_meant(names: list[str], price: int) -> None:
    """Behind a gateway only those whom a request names, or who are behind a gateway that it names, have a price."""
    prices = {"region/aws": 1, "region/west/aws": 2}
    recognizers = [
        pb.Recognizer(name=name, prices=[pb.Price(feature=pb.FEATURE_CELEBRITIES, micro_usd=one)])
        for name, one in prices.items()
    ]
    assert Told(recognizers).price_of(CELEBRITIES, names) == price
    assert Told(recognizers).price_of([pb.FEATURE_TEXT], names) == 0
