"""The Lambda function's table, read as answers to import."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from marquee.library.dynamodb import PAGE_SIZE, Page, Progress, ResultsTable, answer_of
from marquee.v1 import recognizer_pb2 as v1
from tests.support.aws import dynamodb, table

TABLE = "results"
URL = f"dynamodb://{TABLE}"


@pytest.fixture
def client(aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:  # noqa: ARG001 - sets the environment
    """Run DynamoDB with an empty table of results."""
    with dynamodb() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        client = boto3.Session().client("dynamodb")
        with table(client, TABLE, object="HASH", version="RANGE"):
            yield client
        client.close()


def item(number: int = 0, *names: tuple[str, str], **others: Any) -> dict[str, Any]:
    people = [{"M": {"name": {"S": name}, "confidence": {"N": score}}} for name, score in names]
    return {
        "object": {"S": f"s3://photos/a/{number}.jpg"},
        "version": {"S": "null"},
        "names": {"L": people},
        "recognized": {"S": "2024-02-29T12:00:00+00:00"},
        **others,
    }


def test_an_item_is_an_answer() -> None:
    """Names become people without a box, best first; "null" is no version; a key is taken literally."""
    given = item(0, ("Raj", "80.5"), ("Nina", "99.13"), object={"S": "s3://photos/a?versionId=b#.jpg"})
    answer = answer_of(given, "rekognition")
    assert answer.s3_object == v1.S3Object(bucket="photos", key="a?versionId=b#.jpg")
    assert [(one.display_name, round(one.score, 4)) for one in answer.result.image_candidates] == [
        ("Nina", 0.9913),
        ("Raj", 0.805),
    ]
    assert (answer.result.recognizer, answer.result.outcome) == ("rekognition", v1.OUTCOME_OK)
    assert answer.create_time.ToJsonString() == "2024-02-29T12:00:00Z"
    assert answer_of(item(version={"S": "v7"}), "r").s3_object.version_id == "v7"


def test_an_error_is_a_failed_answer() -> None:
    """An object that could not be recognized is imported with the reason."""
    answer = answer_of(item(error={"S": "It is no picture."}), "rekognition")
    assert (answer.result.outcome, answer.result.status.message) == (v1.OUTCOME_ERROR, "It is no picture.")


@pytest.mark.parametrize(
    "broken",
    [
        {"object": {"S": "photos/0.jpg"}},
        {"object": {"N": "1"}},
        {"object": {"S": "s3://photos/a\0.jpg"}},
        {"object": {"S": f"s3://photos/{512 * 'ä'}a"}},
        {"object": {"S": f"s3://{64 * 'a'}/0.jpg"}},
        {"version": {"S": "v\0"}},
        {"version": {"S": 1025 * "v"}},
        {"error": {"S": "It is\0no picture."}},
        {"names": {"L": [{"M": {"name": {"S": "Raj\0"}, "confidence": {"N": "90"}}}]}},
        {"recognized": {"S": "yesterday"}},
        {"recognized": {"N": "7"}},
        {"names": {"S": "Raj"}},
        {"names": {"L": [{"M": {"name": {"S": "Raj"}, "confidence": {"N": "101"}}}]}},
        {"names": {"L": [{"M": {"name": {"S": "Raj"}, "confidence": {"N": "NaN"}}}]}},
    ],
)
def test_another_item_is_refused(broken: dict[str, Any]) -> None:
    """An item of another program is a ValueError, whatever it holds; so is one that no library takes."""
    with pytest.raises(ValueError, match=r"s3://|object"):
        answer_of(item(**broken), "rekognition")


def test_an_interrupted_import_goes_on(client: Any, tmp_path: Path) -> None:
    """Two runs, the first of which ended after a page, read each item once; then nothing is left to go on with."""
    count = PAGE_SIZE + 7
    for number in range(count):
        client.put_item(TableName=TABLE, Item=item(number, ("Raj", "90")))
    client.put_item(TableName=TABLE, Item={"object": {"S": "other"}, "version": {"S": "x"}})
    seen, file = list[str](), tmp_path / "progress.json"
    for pages in (1, 10):
        progress = Progress(file, f"{URL} into pictures")
        progress.load()
        for page, _ in zip(ResultsTable(URL).pages(progress.position), range(pages), strict=False):
            seen += [answer.s3_object.key for answer in page.answers] + list(page.unreadable)
            progress.save(page)
    assert sorted(seen) == sorted(
        [f"a/{number}.jpg" for number in range(count)] + ["other: object is not of the form s3://BUCKET/KEY"]
    )
    assert progress.items == count + 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_import_is_not_used(tmp_path: Path) -> None:
    """Progress of another table, or a file that is none, is an error that says what to do."""
    file = tmp_path / "progress.json"
    Progress(file, "one").save(Page((), (), {"object": {"S": "a"}}))
    with pytest.raises(OSError, match="another import: one"):
        Progress(file, "two").load()
    file.write_text("[]")
    with pytest.raises(OSError, match="Delete it"):
        Progress(file, "one").load()


def test_what_is_wrong_with_a_table_is_said(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - runs DynamoDB
    """A missing table, a URL of something else and missing credentials are errors that say so."""
    with pytest.raises(OSError, match="no such table"):
        list(ResultsTable("dynamodb://other").pages())
    with pytest.raises(OSError, match="dynamodb://TABLE"):
        ResultsTable("s3://other")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OSError, match="no AWS credentials"):
        ResultsTable(URL)
