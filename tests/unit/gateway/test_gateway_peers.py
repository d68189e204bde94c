"""A gateway beside recognizers that send anything at all: it stays up, quick and small, and the others' answers too."""

import asyncio
import gc
import json
import time
from base64 import urlsafe_b64encode
from contextlib import AsyncExitStack

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from services.gateway.backends.backend import RECOGNIZE_IMAGE, Backend
from services.gateway.config import BackendConfig
from services.runtime import status
from tests.support import peers
from tests.support.enrollers import ScriptedEnroller, code_and_reason, refusal, through_gateway
from tests.support.peers import Abort, Peer, served_peer
from tests.support.processes import free_port
from tests.support.servers import RIGHT, Scripted, Stub, face, gateway, gateway_client, leaf, outcomes, request, until

pytestmark = pytest.mark.slow

SVM = pb.RecognizerResult(faces=[face(RIGHT, "Ada")])
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


async def beside(stack: AsyncExitStack, peer: Peer, svm: Scripted | None = None) -> Stub:
    """Return a client of a gateway over `svm` and the peer."""
    target = await stack.enter_async_context(served_peer(peer))
    return await stack.enter_async_context(gateway_client(svm or Scripted("svm", result=SVM), peer=target))


def mutations() -> st.SearchStrategy[bytes]:
    """Return answers that are nearly legal: some bytes of a legal one are others."""
    legal = peers.response(peers.result(labels=[pb.Label(name="Sea", score=0.5)], cost_micro_usd=3), gateway="g")
    changes = st.lists(st.tuples(st.integers(0, len(legal) - 1), st.integers(0, 255)), min_size=1, max_size=4)

    def changed(edits: list[tuple[int, int]]) -> bytes:
        copy = bytearray(legal)
        for position, byte in edits:
            copy[position] = byte
        return bytes(copy)

    return changes.map(changed)


def test_no_answer_harms_the_others() -> None:
    """Whatever bytes a recognizer answers, or fails with, the call succeeds with the other's result and verdict."""
    failures = st.builds(Abort, TEXTS, st.none() | st.binary(max_size=300), st.sampled_from(CODES))
    answers = st.binary(max_size=300).map(lambda raw: [raw]) | mutations().map(lambda raw: [raw]) | failures
    with asyncio.Runner() as runner:
        stack, peer = AsyncExitStack(), Peer()
        client = runner.run(beside(stack, peer))

        @settings(max_examples=100)
        @given(answers)
        def check(answer: list[bytes] | Abort) -> None:
            peer.answer = answer
            response = runner.run(_recognized(client))
            good, *bad = response.results
            assert (good.recognizer, good.outcome) == ("svm", pb.OUTCOME_OK)
            assert "Ada" in {one.display_name for one in response.verdicts}
            for one in bad:
                assert (one.status.code == 0) == (
                    one.outcome in (pb.OUTCOME_OK, pb.OUTCOME_PARTIAL, pb.OUTCOME_SKIPPED)
                )
                assert one.status.ByteSize() <= status.MAX_STATUS_BYTES

        check()
        runner.run(stack.aclose())


async def _recognized(client: Stub) -> pb.RecognizeImageResponse:
    response: pb.RecognizeImageResponse = await client.RecognizeImage(request(), timeout=60)
    return response


async def test_floods_do_not_stop_the_loop() -> None:
    """While recognizers answer with millions of entries, or faces in one place, the gateway answers others at once."""
    crowd = [face((0.2 + n / 10_000, 0.2, 0.3, 0.3), "Eve") for n in range(256)]
    floods = [peers.FLOODS[name]() for name in ("millions of results", "millions of labels", "millions of features")]
    crowds = [[peers.response(peers.result(*crowd))] for _ in range(8)]
    async with AsyncExitStack() as stack:
        served = [await stack.enter_async_context(served_peer(Peer(one))) for one in floods + crowds]
        client = await stack.enter_async_context(
            gateway_client(Scripted("svm", result=SVM), **{f"p{n}": target for n, target in enumerate(served)})
        )
        pauses = [await _longest_pause(client) for _ in range(3)]
    assert min(pauses) < 0.5  # where others want the CPU, too, one of the process's threads may wait for the next


async def _longest_pause(client: Stub) -> float:
    """Return the most seconds of the process's CPU that passed between turns of the event loop during a call."""
    running = asyncio.ensure_future(_recognized(client))
    longest, begin = 0.0, time.process_time()
    while not running.done():
        await asyncio.sleep(0.01)
        longest, begin = max(longest, time.process_time() - begin), time.process_time()
    assert outcomes(await running)["svm"] == "OK"
    return longest


async def test_bad_answers_leave_nothing_behind() -> None:
    """Bad answers leave no task and no memory: what each left, every round of them would leave again."""
    answers = [[one()] for one in peers.ANSWERS.values()] + list(peers.ABORTS.values())
    svm, peer = Scripted("svm", result=SVM), Peer()
    async with AsyncExitStack() as stack:
        client = await beside(stack, peer, svm)

        async def grown() -> float:
            """Return by how many objects per answer the process grew in a round."""
            before = len(gc.get_objects())
            for peer.answer in answers:
                await _recognized(client)
            for record in (svm.calls, svm.callers, peer.requests):
                record.clear()
            gc.collect()
            return (len(gc.get_objects()) - before) / len(answers)

        await grown()
        tasks = len(asyncio.all_tasks())
        assert min([await grown() for _ in range(5)]) < 0.5  # in some rounds late tasks and caches are counted, too
        await until(lambda: len(asyncio.all_tasks()) <= tasks)  # on a busy machine the last ones are still ending


async def test_a_proxy_is_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway calls its recognizers directly, whatever http_proxy says."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    own = [("grpc.enable_http_proxy", 0)]
    async with (
        leaf(Scripted("svm")) as target,
        gateway({"svm": target}) as address,
        grpc.aio.insecure_channel(address, options=own) as channel,
    ):
        assert outcomes(await _recognized(Stub(channel))) == {"svm": "OK"}


async def test_what_nobody_foresaw_is_a_failed_result() -> None:
    """A call that cannot even be made, here on a closed channel, is an ERROR without the exception's text."""
    backend = Backend("svm", BackendConfig(target="127.0.0.1:1"))
    await backend.close()
    (failed,) = (await backend.call(RECOGNIZE_IMAGE, b"", 1, 1)).results
    assert failed.outcome == pb.OUTCOME_ERROR
    assert code_and_reason(failed.status) == ("INTERNAL", "RECOGNIZER_FAILED")
    assert "closed" not in failed.status.message


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (["0"], "OK"),
        (["-7"], "OK"),
        (["many"], "OK"),
        (["3"], "OK"),
        (["4"], "FAILED_PRECONDITION"),
        (["0000000000004"], "FAILED_PRECONDITION"),
        (["4", "0"], "FAILED_PRECONDITION"),
        (["9" * 3000], "FAILED_PRECONDITION"),
    ],
    ids=str,
)
async def test_hops_of_any_value(values: list[str], code: str) -> None:
    """A number of hops is believed if it is one; of several the highest counts, and zeros before it do not."""
    async with gateway_client(Scripted("svm")) as client:
        call = client.RecognizeImage(request(), metadata=[("marquee-hops", value) for value in values])
        assert (await call.code()).name == code


def _encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["svm", "keras", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)
WRONG_TOKENS = {
    "brackets": urlsafe_b64encode(b"[" * 20_000).decode(),
    "nested objects": urlsafe_b64encode(b'{"svm":' * 3000).decode(),
    "a lone surrogate": urlsafe_b64encode(rb'{"svm": "\ud800"}').decode(),
    "5,000 digits": urlsafe_b64encode(b"9" * 5000).decode(),
    "digits inside": urlsafe_b64encode(b'{"svm": ' + b"9" * 5000 + b"}").decode(),
    "not UTF-8": urlsafe_b64encode(b"\xff\xfe").decode(),
    "NaN": urlsafe_b64encode(b'{"svm": NaN}').decode(),
    "a list": _encoded({"svm": ["a"]}),
    "null": _encoded(None),
    "no base64": "a",
    "no ASCII": "ünïcode",
}


@pytest.mark.parametrize("case", WRONG_TOKENS)
async def test_a_wrong_token_is_refused(case: str) -> None:
    """A page_token that the gateway did not make is INVALID_ARGUMENT, whatever is in it."""
    async with through_gateway(ScriptedEnroller("svm", person_ids=("a",))) as enrollers:
        refused = await refusal(enrollers.ListPeople(enrollment_pb2.ListPeopleRequest(page_token=WRONG_TOKENS[case])))
    assert code_and_reason(refused) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


def test_no_token_is_an_internal_error() -> None:
    """Any page_token leads to a page, to INVALID_ARGUMENT, or to a recognizer without people."""
    tokens = st.text() | st.binary().map(lambda raw: urlsafe_b64encode(raw).decode()) | JSON.map(_encoded)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        enrollers = runner.run(stack.enter_async_context(through_gateway(ScriptedEnroller("svm", person_ids=("a",)))))

        @settings(max_examples=50)
        @given(tokens)
        def check(token: str) -> None:
            assert runner.run(_code(enrollers, token)).name in ("OK", "INVALID_ARGUMENT", "UNIMPLEMENTED")

        check()
        runner.run(stack.aclose())


async def _code(enrollers: EnrollmentServiceStub, token: str) -> grpc.StatusCode:
    return await enrollers.ListPeople(enrollment_pb2.ListPeopleRequest(page_token=token)).code()


async def test_pages_of_any_tokens_lead_through_the_list() -> None:
    """A recognizer's token of any characters comes back to it as it was."""
    name = "Zoë \U0001f600 \"'\\{}"
    peer = Peer([peers.people(name)])
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(served_peer(peer))
        enrollers = await stack.enter_async_context(through_gateway(peer=target))
        first = await enrollers.ListPeople(enrollment_pb2.ListPeopleRequest())
        await enrollers.ListPeople(enrollment_pb2.ListPeopleRequest(page_token=first.next_page_token))
    assert enrollment_pb2.ListPeopleRequest.FromString(peer.requests[-1]).page_token == name
