"""The IAM policies against AWS's table of actions, and against the calls that the code makes: neither has more."""

import json
import logging
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import structlog
import yaml
from cfnlint import api as cfnlint
from policy_sentry.querying.actions import get_action_data

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import lambda_function
from services.rekognition.collections import __main__ as collections
from services.rekognition.table.people import EnrolledPeople
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Page
from services.runtime.storage.s3 import ObjectStore
from tests.support.aws import ACCOUNT, REGION, TABLE, Permissions, dynamodb, endpoint, recorded, s3_store, table
from tests.support.pictures import encode
from tests.support.processes import ROOT
from tests.support.rekognition import DEMO, enrollment_of, options, recognizing, replica

pytestmark = pytest.mark.slow

POLICIES = ROOT / "deploy/eks/policies"
NAMES = sorted(path.stem for path in POLICIES.glob("*.json"))
FILLED = {
    "REGION": REGION,
    "ACCOUNT": ACCOUNT,
    "BUCKET": "pics",
    "PREFIX": "in/",
    "TABLE": TABLE,
    "RESULTS_TABLE": "results",
    "COLLECTION": "people",
}
BY_ADAPTER = {"rekognition:DetectModerationLabels"}
"""AWS names a resource for calls with a custom adapter alone, and the code makes none."""
PICTURE_FEATURES = (
    *(pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS, pb.FEATURE_FACES),
    *(pb.FEATURE_TEXT, pb.FEATURE_MODERATION),
)


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    with s3_store("pics") as s3_url, endpoint(None, s3_url) as url:
        s3 = boto3.Session().client("s3", endpoint_url=s3_url)
        s3.put_bucket_versioning(Bucket="pics", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="pics", Key="in/both.jpg", Body=DEMO["both"])
        version = s3.put_object(Bucket="pics", Key="in/hopper.jpg", Body=DEMO["hopper"])["VersionId"]
        webp = encode(photo("Grace Hopper"), "WEBP")
        webp_version = s3.put_object(Bucket="pics", Key="in/picture.webp", Body=webp)["VersionId"]
        s3.close()
        rekognition = boto3.client("rekognition", endpoint_url=url)
        rekognition.create_collection(CollectionId="people")
        rekognition.close()
        with dynamodb() as table_url:
            client = boto3.client("dynamodb", endpoint_url=table_url)
            urls = {"url": url, "s3_url": s3_url, "table_url": table_url}
            versions = {"version": version, "webp": webp_version}
            with table(client, FILLED["RESULTS_TABLE"], object="HASH", version="RANGE"):
                yield SimpleNamespace(**urls, **versions, people=EnrolledPeople(client, TABLE))
            client.close()


def statements(name: str) -> list[dict[str, Any]]:
    filled = Template((POLICIES / f"{name}.json").read_text()).substitute(FILLED)
    policy: list[dict[str, Any]] = json.loads(filled)["Statement"]
    return policy


def allowed(*names: str) -> set[tuple[str, str]]:
    """Pairs of action and resource pattern."""
    return {
        (action, resource)
        for name in names
        for one in statements(name)
        for action in _list(one["Action"])
        for resource in _list(one["Resource"])
    }


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def check(calls: Permissions, *names: str) -> None:
    """Every call is allowed, and everything that is allowed is called."""
    granted = allowed(*names)
    fitting = {call: [g for g in granted if g[0] == call[0] and fnmatchcase(call[1], g[1])] for call in calls}
    assert [call for call, fits in fitting.items() if not fits] == []
    assert granted - {grant for fits in fitting.values() for grant in fits} == set()


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_awss_and_resources_named(name: str) -> None:
    """No action has a wildcard or is unknown to AWS, and "*" is the resource of those alone that AWS names none for."""
    for one in statements(name):
        assert one["Effect"] == "Allow"
        for action in _list(one["Action"]):
            service, _, operation = action.partition(":")
            actions = get_action_data(service, operation)
            assert actions, action
            formats = {"*"} if action in BY_ADAPTER else {one["resource_arn_format"] for one in actions[service]}
            for resource in _list(one["Resource"]):
                assert (resource == "*") == (formats == {"*"}), (action, resource)
                assert "*" not in resource.removesuffix("*")
                assert resource == "*" or service == "s3" or not resource.endswith("*")


async def test_the_recognizer(aws: SimpleNamespace) -> None:
    """Recognizes bytes and objects with and without version, fetches what AWS refuses, shares a budget."""
    with recorded() as calls:
        await _recognize(aws, PICTURE_FEATURES)
    check(calls, "recognizer")


async def test_the_recognizer_with_a_collection(aws: SimpleNamespace) -> None:
    """Enrolls, searches faces and users, lists and removes as well."""
    with recorded() as calls:
        await _recognize(aws, (*PICTURE_FEATURES, pb.FEATURE_FACE_SEARCH))
        for search in ("users", "faces"):
            async with replica(aws, "people", rekognition_search=search) as (recognizer, enroller):
                await enroller.enroll(enrollment_of(DEMO["hopper"]))
                result = await recognizer.recognize(
                    Image(DEMO["hopper"]), options(pb.FEATURE_FACE_SEARCH, collection="people")
                )
                assert result.faces[0].candidates
                assert (await enroller.people(Page(10, "", "")))[0]
                await enroller.remove("grace-hopper", "")
    check(calls, "recognizer", "collection")


def test_the_operator(aws: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All commands on collections."""
    monkeypatch.setitem(FILLED, "COLLECTION", "crew")
    _environment(aws, monkeypatch)
    listing = tmp_path / "listing"
    listing.write_text('"somebody"')
    aws.people.save("crew", "somebody", "Somebody", {})
    commands = [["create", "crew"], ["list"], ["describe", "crew"], ["faces", "crew"]]
    commands += [["compare", "s3://pics/in/hopper.jpg", "s3://pics/in/both.jpg"], ["reconcile", "crew", str(listing)]]
    with recorded() as calls:
        for command in (*commands, ["delete", "crew", "--yes"]):
            with pytest.raises(SystemExit):
                collections.main(command)
    assert aws.people.get("crew", "somebody") is None
    check(calls, "operator")


@pytest.fixture
def own_logs() -> Iterator[None]:
    """The function sets up the process's logs, which is the tests' here."""
    before = logging.root.handlers[:], logging.root.level, structlog.get_config()
    yield
    logging.root.handlers[:] = before[0]
    logging.root.setLevel(before[1])
    structlog.configure(**before[2])
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("own_logs")
def test_the_lambda_function(aws: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects with and without version, a shared budget, and results in a table."""
    _environment(aws, monkeypatch, MARQUEE_REKOGNITION_RESULTS_TABLE="results")
    notice = {"bucket": {"name": "pics"}, "object": {"key": "in/hopper.jpg", "versionId": aws.version}}
    event = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": notice}]}
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 20_000)
    with recorded() as calls:
        lambda_function.lambda_handler({"bucket": "pics", "object_name": "in/hopper.jpg"}, context)
        lambda_function.lambda_handler(event, context)
    check(calls, "lambda")


def test_the_lambda_template_grants_the_same() -> None:
    """The actions of deploy/lambda/template.yaml are those of the policy."""
    template = yaml.load((ROOT / "deploy/lambda/template.yaml").read_text(), _CloudFormation)  # noqa: S506 - a SafeLoader
    (policy,) = template["Resources"]["Recognize"]["Properties"]["Policies"]
    granted = sorted(action for one in policy["Statement"] for action in _list(one["Action"]))
    assert granted == sorted(action for one in statements("lambda") for action in _list(one["Action"]))


def test_the_lambda_template_is_valid() -> None:
    """No error and no warning of cfn-lint's, which comes with moto's server; it reads SAM too."""
    matches = cfnlint.lint_all((ROOT / "deploy/lambda/template.yaml").read_text())
    assert [one for one in matches if not one.rule.id.startswith("I")] == []


class _CloudFormation(yaml.SafeLoader):
    """YAML whose tags, !Ref and the like, are left out."""


_CloudFormation.add_multi_constructor("!", lambda _, __, node: node.value)


def _environment(aws: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, **own: str) -> None:
    defaults = {
        "MARQUEE_REKOGNITION_ENDPOINT_URL": aws.url,
        "MARQUEE_REKOGNITION_READ_TIMEOUT_SECONDS": "60",
        "MARQUEE_DYNAMODB_ENDPOINT_URL": aws.table_url,
        "MARQUEE_REKOGNITION_TABLE": TABLE,
    }
    for name, value in (defaults | own).items():
        monkeypatch.setenv(name, value)


async def _recognize(aws: SimpleNamespace, features: tuple[pb.Feature.ValueType, ...]) -> None:
    """Bytes, objects by reference, and one that AWS refuses, so that it is fetched."""
    stored = {"in/hopper.jpg": aws.version, "in/picture.webp": aws.webp}
    objects = [{"key": key, "version_id": version} for key in stored for version in ("", stored[key])]
    fetch = ObjectStore(aws.s3_url).fetch
    shared = {"rekognition_table": TABLE, "dynamodb_endpoint_url": aws.table_url}
    async with recognizing(aws.url, **shared) as recognizer:
        for image in (Image(DEMO["both"]), *(Image(None, pb.S3Object(bucket="pics", **one), fetch) for one in objects)):
            result = await recognizer.recognize(image, options(*features, collection="people"))
            assert not result.feature_errors
