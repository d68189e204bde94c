"""The local system with models, people, labels and buckets of its user's own."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.pictures import demo_pictures, write_gallery
from marquee import Client, Feature
from tests.support.processes import PATIENCE, ROOT, LocalSystem, local_system, run

pytestmark = pytest.mark.slow

_NOBODY = "http://127.0.0.1:9"
_OTHERS = {
    "AWS_PROFILE": "none",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "http_proxy": _NOBODY,
    "MARQUEE_CA": "/none.pem",
    "MARQUEE_TOKEN": "secret",
}
"""What an environment may hold for other servers."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a user's own things: a Keras model, celebrities, and pictures with annotations."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(ROOT / "models/keras/celebrity", folder / "mine")
    shutil.copy(ROOT / "models/svm/demo.skops", folder / "people.skops")
    write_gallery(folder / "gallery")
    (folder / "gallery" / "Grace Hopper").rename(folder / "gallery" / "The Admiral")
    (folder / "pictures").mkdir()
    for name, picture in demo_pictures().items():
        picture.save(folder / "pictures" / name)
    label = {"Name": "Cup", "Confidence": 93, "Parents": [{"Name": "Tableware"}]}
    (folder / "pictures" / "coffee.jpg.json").write_text(json.dumps({"Labels": [label]}))
    return folder


@pytest.fixture(scope="module")
def arguments(own: Path) -> list[str]:
    options = {
        "--svm-model": own / "people.skops",
        "--keras-model": own / "mine",
        "--gallery": own / "gallery",
        "--annotations": own / "pictures",
        "--bucket": f"own={own / 'pictures'}",
    }
    return ["--collections", *(str(part) for option in options.items() for part in option)]


@pytest.fixture(scope="module")
def started(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    with local_system(tmp_path_factory.mktemp("state"), *arguments) as running:
        yield running


def test_own_models_and_people_answer(started: LocalSystem, own: Path) -> None:
    """Recognizers use the models and people that they were given, under their own names."""
    with Client(started.address("gateway")) as client:
        answer = client.recognize(own / "pictures" / "hopper.jpg")
    results = {result.recognizer: result for result in answer.results}
    assert results["keras"].model.name == "mine"
    assert [face.candidates[0].display_name for face in results["rekognition"].faces] == ["The Admiral"]


def test_own_labels_answer_for_objects_of_an_own_bucket(started: LocalSystem) -> None:
    """A picture's annotations are its labels, also where the picture is an object."""
    with Client(started.address("gateway")) as client:
        answer = client.recognize("s3://own/coffee.jpg", recognizers=["rekognition"])
    (result,) = answer.results
    assert [(label.name, round(label.score, 2)) for label in result.labels] == [("Cup", 0.93)]


def test_the_environment_leads_programs_to_the_stand_ins(started: LocalSystem) -> None:
    """What `python -m local env` prints lets boto3 and `marquee` reach the system, whatever was set for others."""
    program = "import boto3; print(*boto3.client('rekognition').list_collections()['CollectionIds'])"
    shell = f'{_local("env", started).stdout}\n"$0" -c "{program}"\n"$0" -m marquee recognizers -o json'
    shell += '\necho "${MARQUEE_TOKEN-none}"'
    result = run(["bash", "-ec", shell, sys.executable], env=os.environ | _OTHERS)
    assert result.stdout.startswith("people\n["), result.stderr
    assert result.stdout.endswith("]\nnone\n"), result.stdout


def test_the_command_finds_the_system(started: LocalSystem, tmp_path: Path) -> None:
    """Without an address, `marquee` calls the system that its user runs, from any folder."""
    environment = os.environ | {"XDG_STATE_HOME": str(started.state_home), "PYTHONPATH": str(ROOT)}
    result = run([sys.executable, "-m", "marquee", "recognizers", "-o", "json"], cwd=tmp_path, env=environment)
    assert [recognizer["name"] for recognizer in json.loads(result.stdout)] == ["svm", "keras", "rekognition"]
    assert f"{started.address('gateway')} is the local system that was started in {ROOT}." in result.stderr


def test_a_state_folder_is_of_one_system(started: LocalSystem) -> None:
    """A second system with the same folder does not start, and leaves the first one's files alone."""
    facts = (started.state / "stack.json").read_text()
    result = run([sys.executable, "-m", "local", "--state", started.state])
    assert (result.returncode, (started.state / "stack.json").read_text()) == (1, facts)
    assert f"A system is running with {started.state}" in result.stderr


def test_people_enrolled_into_rekognition_stay(own: Path, arguments: list[str], tmp_path: Path) -> None:
    """Face search finds an enrolled person, also once the system has been stopped and started again."""
    picture = own / "pictures" / "collins.jpg"
    with local_system(tmp_path, *arguments) as system, Client(system.address("gateway")) as client:
        client.enroll([picture], display_name="Pilot", recognizers=["rekognition"])
        assert _found(client, picture) == ["Pilot"]
    with local_system(tmp_path, *arguments) as system, Client(system.address("gateway")) as client:
        assert _found(client, picture) == ["Pilot"]
        system.process.send_signal(signal.SIGKILL)
        system.process.wait(PATIENCE)
        assert _local("env", system).returncode == 1


def _found(client: Client, picture: Path) -> list[str]:
    answer = client.recognize(picture, features=[Feature.FACE_SEARCH], recognizers=["rekognition"])
    return [verdict.display_name for verdict in answer.verdicts]


def _local(command: str, system: LocalSystem) -> Any:
    environment = os.environ | {"XDG_STATE_HOME": str(system.state_home)}
    return run([sys.executable, "-m", "local", command], env=environment)
