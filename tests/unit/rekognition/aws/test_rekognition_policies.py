"""IAM policies name only actions that AWS knows, and grant exactly the permissions that the code's calls need."""

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
from cfnlint import api as cfnlint
from policy_sentry.querying.actions import get_action_data

from local.pictures import photo
from marquee.v1 import enrollment_pb2
from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import lambda_function
from services.rekognition.collections import __main__ as collections
from services.rekognition.table.people import EnrolledPeople
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import FaceRemoval, Page
from services.runtime.storage.s3 import ObjectStore
from tests.support.aws import (
    ACCOUNT,
    NOWHERE,
    REGION,
    TABLE,
    Permissions,
    dynamodb,
    endpoint,
    lambda_template,
    record_permissions,
    s3_store,
    table,
)
from tests.support.pictures import encode
from tests.support.processes import ROOT
from tests.support.rekognition import DEMO, HOPPER, PORTRAITS, enrollment_of, options, replica, running_recognizer

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
    "QUEUE": "pictures",
    "COLLECTION": "people",
}
BY_ADAPTER = {"rekognition:DetectModerationLabels"}
"""AWS names a resource for these actions only with a custom adapter, which the code does not use."""
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
    """Return the pairs of action and resource pattern that the policies grant."""
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
    """Check that the policies allow every call and that the calls use every permission."""
    permissions = allowed(*names)
    grants_by_call = {
        call: [g for g in permissions if g[0] == call[0] and fnmatchcase(call[1], g[1])] for call in calls
    }
    assert [call for call, grants in grants_by_call.items() if not grants] == []
    assert permissions - {grant for grants in grants_by_call.values() for grant in grants} == set()


@pytest.mark.parametrize("name", NAMES)
def test_actions_exist_and_resources_are_named(name: str) -> None:
    """AWS knows every action, none has a wildcard, and only actions without resources in AWS have "*" as theirs."""
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
    """The policy covers bytes, objects with and without a version, the fetch of refused objects, and the budget."""
    with record_permissions() as calls:
        await _recognize(aws, PICTURE_FEATURES)
    check(calls, "recognizer")


async def test_the_recognizer_with_a_collection(aws: SimpleNamespace) -> None:
    """Together with the collection's policy it covers enrolling, both searches, listing, removing faces and people."""
    with record_permissions() as calls:
        await _recognize(aws, (*PICTURE_FEATURES, pb.FEATURE_FACE_SEARCH))
        for search in ("users", "faces"):
            async with replica(aws, "people", rekognition_search=search) as (recognizer, enroller):
                enrolled = await enroller.enroll(enrollment_of(DEMO["hopper"], PORTRAITS[HOPPER]))
                result = await recognizer.recognize(
                    Image(DEMO["hopper"]), options(pb.FEATURE_FACE_SEARCH, collection="people")
                )
                assert result.faces[0].candidates
                assert (await enroller.people(Page(10, "", "")))[0]
                one = enrollment_pb2.FaceKey(face=enrollment_pb2.FaceId(face_id=enrolled.faces[0].face_id))
                unknown = enrollment_pb2.FaceKey(content_sha256="0" * 64)
                removed = await enroller.remove_faces(FaceRemoval([one, unknown], "", ""))
                assert [entry.removed_faces for entry in removed.faces] == [1, 0]
                assert (await enroller.faces("grace-hopper", Page(10, "", "")))[0].faces
                await enroller.remove("grace-hopper", "")
    check(calls, "recognizer", "collection")


def test_the_operator(aws: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The policy covers all commands on collections."""
    monkeypatch.setitem(FILLED, "COLLECTION", "crew")
    _environment(aws, monkeypatch)
    listing = tmp_path / "listing"
    listing.write_text('"somebody"')
    aws.people.save("crew", "somebody", "Somebody", {})
    aws.people.faces.add("crew", [("somebody", "face")])
    commands = [["create", "crew"], ["list"], ["describe", "crew"], ["faces", "crew"], ["index", "crew"]]
    commands += [["compare", "s3://pics/in/hopper.jpg", "s3://pics/in/both.jpg"], ["reconcile", "crew", str(listing)]]
    with record_permissions() as calls:
        for command in (*commands, ["delete", "crew", "--yes"]):
            with pytest.raises(SystemExit):
                collections.main(command)
    assert aws.people.get("crew", "somebody") is None
    check(calls, "operator")


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Restore the logging of this process, which the function sets up as its own."""
    before = logging.root.handlers[:], logging.root.level, structlog.get_config()
    yield
    logging.root.handlers[:] = before[0]
    logging.root.setLevel(before[1])
    structlog.configure(**before[2])
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("own_logs")
def test_the_lambda_function(aws: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy covers objects with and without a version, a shared budget, results, and messages put off."""
    _environment(aws, monkeypatch, MARQUEE_REKOGNITION_RESULTS_TABLE="results", AWS_ENDPOINT_URL_SQS=NOWHERE)
    direct = {"bucket": "pics", "object_name": "in/hopper.jpg"}
    message = {"messageId": "1", "body": json.dumps(direct), "receiptHandle": "r"}
    queued = message | {"eventSource": "aws:sqs", "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:pictures"}
    context = SimpleNamespace(aws_request_id="r1", get_remaining_time_in_millis=lambda: 20_000)
    with record_permissions() as calls:
        lambda_function.lambda_handler(direct, context)
        lambda_function.lambda_handler(direct | {"version": aws.version}, context)
        for cached in (lambda_function._settings, lambda_function._account):
            cached.cache_clear()
        monkeypatch.setenv("MARQUEE_REKOGNITION_DAILY_CAP_USD", "0")
        assert lambda_function.lambda_handler({"Records": [queued]}, context)["batchItemFailures"]
    check(calls, "lambda")


def test_the_lambda_template_grants_the_same() -> None:
    """The actions of deploy/lambda/template.yaml are those of the policy."""
    (policy,) = lambda_template()["Resources"]["Recognize"]["Properties"]["Policies"]
    actions = sorted(action for one in policy["Statement"] for action in _list(one["Action"]))
    assert actions == sorted(action for one in statements("lambda") for action in _list(one["Action"]))


def test_the_lambda_template_keeps_what_it_stores() -> None:
    """Pictures and tables outlive the stack, nobody else reads them, and what is written by mistake can be undone."""
    resources = lambda_template()["Resources"]
    properties = {name: one["Properties"] for name, one in resources.items()}
    for name in ("Bucket", "Results", "Money"):
        assert {resources[name]["DeletionPolicy"], resources[name]["UpdateReplacePolicy"]} == {"Retain"}, name
    assert set(properties["Bucket"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["Bucket"]["PublicAccessBlockConfiguration"]) == 4
    for name in ("Results", "Money"):
        assert properties[name]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    for name in ("Pictures", "Failed"):
        assert properties[name]["SqsManagedSseEnabled"] is True


def test_the_lambda_template_reserves_what_the_queue_uses() -> None:
    """The queue alone cannot use up the function's copies, which would throttle its messages and direct calls."""
    template = lambda_template()
    parameters, function = template["Parameters"], template["Resources"]["Recognize"]["Properties"]
    assert parameters["MaximumConcurrency"]["Default"] < parameters["ReservedConcurrency"]["Default"]
    assert "ReservedConcurrentExecutions" in function
    assert function["LoggingConfig"] == {"LogGroup": "Log"}
    assert template["Resources"]["Log"]["Properties"] == {"RetentionInDays": "LogDays"}


def test_the_lambda_template_is_valid() -> None:
    """cfn-lint, which comes with moto's server and also reads SAM, reports no error and no warning."""
    matches = cfnlint.lint_all((ROOT / "deploy/lambda/template.yaml").read_text())
    assert [one for one in matches if not one.rule.id.startswith("I")] == []


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
    """Recognize bytes, objects by reference, and an object that AWS refuses and the recognizer fetches."""
    stored = {"in/hopper.jpg": aws.version, "in/picture.webp": aws.webp}
    objects = [{"key": key, "version_id": version} for key in stored for version in ("", stored[key])]
    fetch = ObjectStore(aws.s3_url).fetch
    shared = {"rekognition_table": TABLE, "dynamodb_endpoint_url": aws.table_url}
    async with running_recognizer(aws.url, **shared) as recognizer:
        for image in (Image(DEMO["both"]), *(Image(None, pb.S3Object(bucket="pics", **one), fetch) for one in objects)):
            result = await recognizer.recognize(image, options(*features, collection="people"))
            assert not result.feature_errors
