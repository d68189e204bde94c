"""The whole system as a user starts it, breaks it and stops it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import grpc
import httpx
import pytest

from local.pictures import scene
from marquee import Client, LibraryClient, MarqueeError, Outcome, Recognition, VerdictState
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.enrollment_pb2 import EnrollFacesRequest, ListPeopleRequest
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from tests.support.pictures import encode
from tests.support.processes import PATIENCE, LocalSystem, local_system, wait_until

pytestmark = pytest.mark.slow

PARTS = {
    "rekognition": "rekognition",
    "keras": "keras",
    "svm": "svm",
    "aws-rekognition": "rekognition",
    "tf-serving": "keras",
}
"""Part → the recognizer that depends on it."""


@pytest.fixture
def client(system: LocalSystem) -> Iterator[Client]:
    with Client(system.address("gateway")) as client:
        yield client


def outcomes(answer: Recognition) -> dict[str, Outcome]:
    return {result.recognizer: result.outcome for result in answer.results}


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("collins.jpg", ["Eileen Collins"]),
        ("hopper.jpg", ["Grace Hopper"]),
        ("both.jpg", ["Eileen Collins", "Grace Hopper"]),
    ],
)
def test_names_the_people(client: Client, system: LocalSystem, name: str, people: list[str]) -> None:
    """Altered pictures of known people get the right verdicts, from left to right."""
    answer = client.recognize(system.picture(name))
    assert [verdict.display_name for verdict in answer.verdicts] == people
    assert {verdict.state for verdict in answer.verdicts} == {VerdictState.IDENTIFIED}


@pytest.mark.parametrize("name", ["hopper.jpg", "scene"])
def test_a_cascade_spares_rekognition(client: Client, system: LocalSystem, name: str) -> None:
    """Rekognition comes last: a person whom the SVM knows, or Keras's veto on a picture of nobody, saves its price."""
    picture = encode(scene("rocket.jpg")) if name == "scene" else system.picture(name)
    ask = partial(client.recognize, picture, policy="cascade", features=["celebrities"])
    wait_until(lambda: ask().saved_micro_usd)  # a gateway that has just started has not heard the price yet
    answer = ask()
    assert list(outcomes(answer)) == ["svm", "keras", "rekognition"]
    assert outcomes(answer)["rekognition"] is Outcome.SKIPPED
    assert answer.cost_micro_usd == 0
    assert answer.saved_micro_usd > 0


def test_rekognition_and_svm_both_support_the_verdict(client: Client, system: LocalSystem) -> None:
    """Both face recognizers name the same person in the same place."""
    (verdict,) = client.recognize(system.picture("hopper.jpg")).verdicts
    assert {support.recognizer for support in verdict.support} == {"rekognition", "svm"}


def test_keras_calls_a_known_face_a_celebrity(client: Client, system: LocalSystem) -> None:
    """The Keras model labels the picture as a whole."""
    (result,) = client.recognize(system.picture("collins.jpg"), recognizers=["keras"]).results
    assert [label.name for label in result.labels] == ["Celebrity"]


def test_finds_no_face_where_there_is_none(client: Client, system: LocalSystem) -> None:
    """A picture without a face has a single verdict, NO_FACE."""
    answer = client.recognize(system.picture("coffee.jpg"))
    assert [verdict.state for verdict in answer.verdicts] == [VerdictState.NO_FACE]


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """Start a system that no other tests use."""
    with local_system(tmp_path_factory.mktemp("breakable")) as running:
        yield running


@pytest.mark.parametrize("part", PARTS)
def test_a_killed_part_affects_only_its_recognizer(breakable: LocalSystem, part: str) -> None:
    """While a part is down, only its recognizer is UNAVAILABLE; once it is back, it is used again."""
    picture = breakable.picture("hopper.jpg")
    with Client(breakable.address("gateway")) as client:

        def all_answer() -> bool:
            return set(outcomes(client.recognize(picture, no_cache=True)).values()) == {Outcome.OK}

        wait_until(all_answer)
        with _stopped(breakable.process):  # otherwise the part might be back before the call ends
            os.kill(int(breakable.facts["pids"][part]), signal.SIGKILL)
            answer = client.recognize(picture, no_cache=True, timeout=PATIENCE)
        lost = {result.recognizer: result.status.code for result in answer.results if result.outcome is not Outcome.OK}
        assert lost == {PARTS[part]: "UNAVAILABLE"}
        wait_until(all_answer)


@contextmanager
def _stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_an_enrollment_survives_a_kill(breakable: LocalSystem) -> None:
    """A confirmed enrollment survives kill -9."""
    image = pb.Image(content=breakable.picture("hopper.jpg"))
    request = EnrollFacesRequest(display_name="Twin", images=[image], allow_similar=True, recognizers=["svm"])
    with grpc.insecure_channel(breakable.address("gateway")) as channel:
        stub = EnrollmentServiceStub(channel)

        def person_ids() -> list[str]:
            listed = stub.ListPeople(ListPeopleRequest(recognizers=["svm"]), wait_for_ready=True)
            return [person.person_id for person in listed.results[0].people]

        def is_back() -> bool:
            try:
                return "twin" in person_ids()
            except grpc.RpcError:
                return False

        stub.EnrollFaces(request)
        os.kill(int(breakable.facts["pids"]["svm"]), signal.SIGKILL)
        wait_until(is_back)


def test_a_killed_gateway_comes_back(breakable: LocalSystem) -> None:
    """A client works again once a killed gateway is back."""
    picture = breakable.picture("coffee.jpg")
    with Client(breakable.address("gateway")) as client:
        client.recognize(picture)
        os.kill(int(breakable.facts["pids"]["gateway"]), signal.SIGKILL)
        wait_until(lambda: _answers(client, picture))


def test_a_killed_page_comes_back(breakable: LocalSystem) -> None:
    """The page is served again once it has been killed."""
    os.kill(int(breakable.facts["pids"]["web"]), signal.SIGKILL)
    wait_until(lambda: _opens(breakable.page_url))


def _opens(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def test_pictures_are_back_after_s3_is_killed(breakable: LocalSystem) -> None:
    """The S3 stand-in keeps objects in memory; after a restart, it has the demo's pictures again."""
    os.kill(int(breakable.facts["pids"]["s3"]), signal.SIGKILL)
    with Client(breakable.address("gateway")) as client:
        wait_until(lambda: _answers(client, "s3://marquee-demo/hopper.jpg"))


def _answers(client: Client, source: str | bytes) -> bool:
    try:
        return set(outcomes(client.recognize(source)).values()) == {Outcome.OK}
    except MarqueeError:
        return False


@pytest.fixture(scope="module")
def picture_id(breakable: LocalSystem) -> str:
    """Return the identifier of a picture that the library has recognized."""
    with LibraryClient(breakable.address("library")) as library:
        added = library.add(breakable.picture("hopper.jpg"), path="hopper.jpg", wait=True, timeout=PATIENCE)
        return added.picture.picture_id


def test_the_library_finds_a_picture_by_name(breakable: LocalSystem, picture_id: str) -> None:
    """A picture that was added is recognized by the gateway, and found by whom it shows."""
    with LibraryClient(breakable.address("library")) as library:
        (found,) = library.search(people="grace hopper")
        assert (found.picture_id, found.file_name) == (picture_id, "hopper.jpg")
        assert library.content(picture_id).content == breakable.picture("hopper.jpg")


@pytest.mark.parametrize("part", ["library", "postgres"])
def test_the_library_survives_a_kill(breakable: LocalSystem, picture_id: str, part: str) -> None:
    """Once the library or its database is back from kill -9, nothing is lost, and it takes more."""
    pid = breakable.facts["pids"][part]
    os.kill(int(pid), signal.SIGKILL)
    with LibraryClient(breakable.address("library")) as library:

        def is_back() -> bool:
            try:
                return breakable.facts["pids"][part] != pid and bool(library.get(picture_id))
            except MarqueeError:
                return False

        wait_until(is_back)
        added = library.add(encode(scene("rocket.jpg")), path=f"{part}.jpg", wait=True, timeout=PATIENCE)
        assert {place.path for place in library.get(added.picture.picture_id).places} >= {f"{part}.jpg"}
