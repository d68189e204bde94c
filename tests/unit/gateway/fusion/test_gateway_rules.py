"""What a gateway makes of its recognizers' scores: min_score, and the file of its rules."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidImage
from tests.support.servers import (
    LEFT,
    RIGHT,
    Scripted,
    Stub,
    candidate,
    face,
    gateway,
    gateway_client,
    gateway_of,
    leaf,
    request,
    stub,
    until,
)

ADA = pb.Face(box=face(LEFT).box, candidates=[candidate("Ada", 0.5), candidate("Bob", 0.25)])
FOUND = pb.RecognizerResult(
    faces=[ADA],
    image_candidates=[candidate("Eve", 0.25)],
    labels=[pb.Label(name="Boat", score=0.75), pb.Label(name="Sea", score=0.25)],
    texts=[pb.Text(content="Hi", score=0.25)],
    moderation_labels=[pb.ModerationLabel(name="Wine", score=0.25)],
    model=pb.Model(name="m", version="1+3"),
)


def scores(result: pb.RecognizerResult) -> list[float]:
    """Return all scores of the result."""
    everything = (*result.image_candidates, *result.labels, *result.texts, *result.moderation_labels)
    return [one.score for one in (*(each for face in result.faces for each in face.candidates), *everything)]


async def streamed(client: Stub, message: pb.RecognizeImageRequest) -> pb.RecognizeImageResponse:
    whole = pb.RecognizeImageResponse()
    async for response in client.StreamRecognizeImage(message):
        whole.MergeFrom(response)
    return whole


async def at_once(client: Stub, message: pb.RecognizeImageRequest) -> pb.RecognizeImageResponse:
    response: pb.RecognizeImageResponse = await client.RecognizeImage(message)
    return response


@pytest.mark.parametrize("ask", [at_once, streamed])
async def test_min_score_changes_no_verdict(ask: Callable[..., asyncio.Future[pb.RecognizeImageResponse]]) -> None:
    """A min_score leaves out what scores less, in results and merged labels, and nothing of the verdicts."""
    async with gateway_client(Scripted("svm", result=FOUND), Scripted("aws", result=FOUND)) as client:
        everything = await ask(client, request())
        filtered = await ask(client, request(min_score=0.6))
    assert [scores(one) for one in everything.results] == [scores(FOUND)] * 2
    assert [scores(one) for one in filtered.results] == [[0.75]] * 2
    assert [one.name for one in filtered.labels] == ["Boat"]
    assert filtered.verdicts == everything.verdicts
    assert [one.display_name for one in filtered.verdicts] == ["Ada", "Eve"]


async def test_a_recognizer_may_have_a_min_score_of_its_own() -> None:
    """A recognizer's own min_score, even 0, replaces the call's; a gateway's is for all behind it without their own."""
    own = {"svm": 0, "region": 0.5, "region/svm": 1}
    options = {name: pb.RecognizerOptions(min_score=score) for name, score in own.items()}
    async with AsyncExitStack() as stack:
        aws, svm = [await stack.enter_async_context(leaf(Scripted(name, result=FOUND))) for name in ("aws", "svm")]
        region = await stack.enter_async_context(gateway({"aws": aws, "svm": svm}))
        outer = await stack.enter_async_context(gateway({"svm": svm, "region": region}))
        client = await stack.enter_async_context(stub(outer))
        response = await client.RecognizeImage(request(min_score=0.75, recognizer_options=options))
    assert {one.recognizer: scores(one) for one in response.results} == {
        "svm": scores(FOUND),
        "region/aws": [0.5, 0.75],
        "region/svm": [],
    }


async def basis(client: Stub) -> str:
    """Return what the verdict on a new picture was made from."""
    response = await client.RecognizeImage(request())
    (verdict,) = response.verdicts
    return pb.VerdictBasis.Name(verdict.basis).removeprefix("VERDICT_BASIS_")


def reloads(what: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("marquee_reloads_total", {"what": what, "outcome": outcome}) or 0


async def test_a_table_is_used_from_the_next_call_on(tmp_path: Path) -> None:
    """Verdicts follow the table, which is read again when it changes; a broken one leaves the last in use."""
    file, table, wake = tmp_path / "gateway.yaml", tmp_path / "table.json", asyncio.Event()
    curve = {"slope": 1, "intercept": 1, "most": 3}
    one, other = (
        json.dumps({"recognizers": {"svm": {"model": "m", "version": version, "trained": curve}}})
        for version in ("1", "2")
    )

    def write(path: Path, text: str) -> None:
        path.write_text(text)
        wake.set()

    async def basis_after(path: Path, text: str, what: str, outcome: str = "ok") -> str:
        before = reloads(what, outcome)
        write(path, text)
        await until(lambda: reloads(what, outcome) > before)
        return await basis(client)

    found = pb.RecognizerResult(faces=[ADA], model=FOUND.model)
    async with leaf(Scripted("svm", result=found)) as address:
        entry = f"recognizers: {{svm: {{target: '{address}'}}}}\n"
        file.write_text(entry)
        table.write_text(one)
        async with gateway_of(file, wake) as client:
            assert await basis(client) == "SCORES"
            text = f"{entry}calibration: {{table: '{table}'}}\n"
            assert await basis_after(file, text, "configuration") == "CALIBRATED"
            assert await basis_after(table, "{}", "calibration", "refused") == "CALIBRATED"
            assert await basis_after(table, other, "calibration") == "STALE_CALIBRATION"


async def test_people_may_be_repeated_where_the_file_says_so(tmp_path: Path) -> None:
    """The operator's file decides whether a person may be named twice."""
    found = pb.RecognizerResult(faces=[face(LEFT, "Ada"), face(RIGHT, "Ada")])
    async with leaf(Scripted("svm", result=found)) as address:
        for text, expected in (("", {1, 2}), ("repeated_people: true\n", {1})):
            file = tmp_path / "gateway.yaml"
            file.write_text(f"recognizers: {{svm: {{target: '{address}'}}}}\n{text}")
            async with gateway_of(file, asyncio.Event()) as client:
                response = await client.RecognizeImage(request())
            assert {one.state for one in response.verdicts} == expected


async def test_failures_are_left_as_they_are() -> None:
    """A result that failed still says why where a min_score is asked for."""
    svm, aws = Scripted("svm", result=FOUND), Scripted("aws", error=InvalidImage("no picture"))
    async with gateway_client(svm, aws) as client:
        response = await client.RecognizeImage(request(min_score=0.6))
    assert response.results[1].status.message == "no picture"
