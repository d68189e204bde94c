"""The command that manages collections, against the local endpoint and moto's DynamoDB."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from PIL import Image as Pillow

from services.rekognition.collections.__main__ import main
from services.rekognition.table.people import EnrolledPeople
from tests.support.aws import BUCKET, TABLE, demo_aws, scripted_aws
from tests.support.pictures import encode
from tests.support.rekognition import DEMO

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def environment(rekognition: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_REKOGNITION_ENDPOINT_URL", rekognition.url)


class Command:
    """Runs the command and keeps its standard error."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self.error = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as exit_info:
            main(arguments)
        out, self.error = self._captured.readouterr()
        assert exit_info.value.code == status, self.error
        return out

    def rows(self, *arguments: str, status: int = 0) -> list[dict[str, object]]:
        out = self(*arguments, "--output", "json", status=status)
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def people(rekognition: SimpleNamespace, collection: str) -> None:
    for person, picture in (("grace", "hopper"), ("eileen", "collins")):
        rekognition.client.index_faces(CollectionId=collection, Image={"Bytes": DEMO[picture]}, ExternalImageId=person)


def test_the_life_of_a_collection(run: Command, rekognition: SimpleNamespace) -> None:
    """A collection is created once, described, listed and deleted; describing and deleting show the same row."""
    assert run.rows("create", "crew")[0]["collection"] == "crew"
    run("create", "crew", status=2)
    assert "Collection 'crew' already exists." in run.error
    (row,) = run.rows("describe", "crew")
    assert (row["faces"], row["users"], row["face_model"]) == (0, 0, "7.0")
    assert {"collection": "crew", "face_model": "7.0"} in run.rows("list")
    assert run.rows("delete", "crew", "--yes") == [row]
    assert "crew" not in rekognition.client.list_collections()["CollectionIds"]


@pytest.mark.usefixtures("people")
def test_faces_are_listed(run: Command, collection: str) -> None:
    """The command lists all faces or one person's, as JSON or, for people to read, as a table."""
    assert [row["person_id"] for row in run.rows("faces", collection)] == ["grace", "eileen"]
    assert [row["person_id"] for row in run.rows("faces", collection, "--person", "grace")] == ["grace"]
    table = run("faces", collection)
    assert "person id" in table
    assert "eileen" in table


def test_all_pages_of_faces_are_read(run: Command) -> None:
    """Each page is requested with the token of the one before."""
    face = {"FaceId": "f", "ExternalImageId": "p"}
    description = {"FaceCount": 2, "FaceModelVersion": "7.0", "CreationTimestamp": 1}

    def script(operation: str, body: dict[str, object]) -> tuple[int, object]:
        if operation == "DescribeCollection":
            return 200, description
        return 200, {"Faces": [face], **({} if "NextToken" in body else {"NextToken": "more"})}

    with scripted_aws(script) as scripted, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARQUEE_REKOGNITION_ENDPOINT_URL", scripted.url)
        assert len(run.rows("faces", "crew")) == 2
    assert scripted.requests[-1][1]["NextToken"] == "more"


def test_deleting_needs_confirmation(run: Command, collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is deleted without a terminal or if another name is typed."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    run("delete", collection, status=2)
    assert "--yes" in run.error
    terminal = io.StringIO("other\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    run("delete", collection, status=2)
    assert "nothing was deleted" in run.error
    assert run.rows("describe", collection)


def test_deleting_removes_the_names(
    run: Command, rekognition: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deleted collection's people leave the table; other collections keep theirs."""
    monkeypatch.setenv("MARQUEE_REKOGNITION_TABLE", TABLE)
    monkeypatch.setenv("MARQUEE_DYNAMODB_ENDPOINT_URL", rekognition.table_url)
    client = boto3.client("dynamodb", endpoint_url=rekognition.table_url)
    people = EnrolledPeople(client, TABLE)
    for collection, person in (("gone", "a"), ("gone", "b"), ("other", "c")):
        people.save(collection, person, person.upper(), {"digest": "face"})
    run("create", "gone")
    run("delete", "gone", "--yes")
    assert [people.page(one, "", 10) for one in ("gone", "other")] == [[], [people.get("other", "c")]]
    client.close()


def test_pictures_are_compared(run: Command, tmp_path: Path) -> None:
    """The command shows matches with similarity and place, and the cost, which counts against the budget."""
    paths = [tmp_path / name for name in ("hopper.jpg", "both.jpg")]
    for path in paths:
        path.write_bytes(DEMO[path.stem])
    (match,) = run.rows("compare", *map(str, paths))
    assert float(str(match["similarity"])) > 90
    assert float(str(match["left"])) > 0.4
    assert "Faces that match: 1; that do not: 1. Cost: $0.001." in run.error
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARQUEE_REKOGNITION_DAILY_CAP_USD", "0")
        run("compare", *map(str, paths), status=2)
    assert "midnight" in run.error
    assert run.rows("compare", *map(str, paths), "--similarity", "100") == []
    run("compare", *map(str, paths), "--similarity", "101", status=2)
    run("compare", str(tmp_path / "none.jpg"), str(paths[0]), status=2)
    assert "none.jpg" in run.error


TURNED = Pillow.Exif()
TURNED[0x0112] = 6
SIDEWAYS = encode(Pillow.open(io.BytesIO(DEMO["both"])).rotate(90, expand=True), "PNG", exif=TURNED)
"""A PNG on its side that EXIF turns upright; Rekognition heeds EXIF only in JPEG."""
WEBP = encode(Pillow.open(io.BytesIO(DEMO["both"])), "WEBP")


@pytest.mark.parametrize(
    ("picture", "warning"), [(SIDEWAYS, "turned upright"), (WEBP, "converted from WebP to JPEG")], ids=["png", "webp"]
)
def test_pictures_are_compared_as_the_recognizer_sees_them(
    run: Command, tmp_path: Path, picture: bytes, warning: str
) -> None:
    """What Rekognition would not read, or would see on its side, is converted; the command says so."""
    (tmp_path / "hopper.jpg").write_bytes(DEMO["hopper"])
    (tmp_path / "other").write_bytes(picture)
    (match,) = run.rows("compare", str(tmp_path / "hopper.jpg"), str(tmp_path / "other"))
    assert float(str(match["left"])) > 0.4
    assert f"other: {warning}" in run.error


def test_objects_are_compared(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects go by reference; those that Rekognition refuses are fetched and converted, or named."""
    with demo_aws() as aws:
        monkeypatch.setenv("MARQUEE_REKOGNITION_ENDPOINT_URL", aws.url)
        monkeypatch.setenv("MARQUEE_S3_ENDPOINT_URL", aws.s3_url)
        for key, content in {"hopper.jpg": DEMO["hopper"], "/both.webp": WEBP, "text": b"text"}.items():
            aws.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        assert len(run.rows("compare", f"s3://{BUCKET}/hopper.jpg", f"s3://{BUCKET}//both.webp")) == 1
        assert f"s3://{BUCKET}//both.webp: converted from WebP to JPEG" in run.error
        for bad in ("text", "none.jpg"):
            run("compare", f"s3://{BUCKET}/hopper.jpg", f"s3://{BUCKET}/{bad}", status=2)
            assert f"s3://{BUCKET}/{bad}" in run.error
            assert "hopper.jpg" not in run.error


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture", "JPEG, PNG or WebP"),
        (b"", "0 bytes"),
        (DEMO["hopper"][:2000], "cut short"),
        (encode(Pillow.new("RGB", (200, 60))), "200x60 pixels"),
        (DEMO["coffee"], "no face"),
    ],
    ids=["text", "empty", "cut", "small", "faceless"],
)
def test_the_picture_at_fault_is_named(run: Command, tmp_path: Path, which: int, content: bytes, message: str) -> None:
    """The error names it and what is wrong; only looking for faces costs something, which is said."""
    paths = [tmp_path / "first.jpg", tmp_path / "second.jpg"]
    paths[which].write_bytes(content)
    paths[1 - which].write_bytes(DEMO["hopper"])
    run("compare", *map(str, paths), status=2)
    assert paths[which].name in run.error
    assert paths[1 - which].name not in run.error
    assert message in run.error
    assert ("fault cost $" in run.error) == (message == "no face")


@pytest.mark.usefixtures("people")
def test_a_listing_is_reconciled(run: Command, collection: str, tmp_path: Path) -> None:
    """The rows show who is only in the collection or only in the listing; the exit status is 1 if anybody is."""
    listing = tmp_path / "people.jsonl"
    listing.write_text('"grace"\n\n{"person_id": "ada", "display_name": "Ada"}\n')
    assert run.rows("reconcile", collection, str(listing), status=1) == [
        {"person_id": "ada", "only_in": "listing", "faces": 0},
        {"person_id": "eileen", "only_in": "collection", "faces": 1},
    ]
    listing.write_text('"grace"\n"eileen"')
    assert run.rows("reconcile", collection, str(listing)) == []
    assert "in only one: 0" in run.error


@pytest.mark.parametrize(
    ("line", "message"), [("grace", "Line 1 of the listing is not JSON"), ('{"id": 1}', "no person_id")]
)
def test_invalid_listings_are_refused(run: Command, collection: str, tmp_path: Path, line: str, message: str) -> None:
    """The error says what is wrong with the listing's line."""
    listing = tmp_path / "people.jsonl"
    listing.write_text(line)
    run("reconcile", collection, str(listing), status=2)
    assert message in run.error


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere", "list-collections"), ("no/name", "does not accept this name")]
)
def test_wrong_names_are_explained(run: Command, name: str, message: str) -> None:
    """The error says what is wrong with the name, and the exit status is 2."""
    run("describe", name, status=2)
    assert message in run.error.replace("\n", " ")
