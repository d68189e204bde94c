"""What the library's subcommands print of pictures whose names and texts are made to break a terminal."""

import math
from collections.abc import Iterator

import pytest
from google.rpc import status_pb2

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceServicer
from marquee.v1 import recognizer_pb2
from tests.support.client import marquee, two_people
from tests.support.evil import EVIL, controls, spoil, strict
from tests.unit.library.client.conftest import serving

_LIST = ("events", "-n", "1"), ("jobs",), ("categories",)


class _Evil(LibraryServiceServicer):
    """Answers each call with texts that are EVIL, and numbers that are none."""

    def GetPicture(self, _request: object, _context: object) -> pb.GetPictureResponse:  # noqa: N802 - the contract's
        return pb.GetPictureResponse(picture=_picture())

    def SearchPictures(self, _request: object, _context: object) -> pb.SearchPicturesResponse:  # noqa: N802
        return pb.SearchPicturesResponse(pictures=[_picture()])

    def UndeletePicture(self, _request: object, _context: object) -> pb.UndeletePictureResponse:  # noqa: N802
        return pb.UndeletePictureResponse(picture=_picture())

    def ErasePicture(self, _request: object, _context: object) -> pb.ErasePictureResponse:  # noqa: N802
        receipt = pb.ErasureReceipt(exports=[pb.ExportRecord(caller="x")], objects=["x"], beyond_reach=["x"])
        receipt.erased[EVIL] = 1
        spoil(receipt.exports[0])
        receipt.objects[:] = receipt.beyond_reach[:] = [EVIL]
        return pb.ErasePictureResponse(receipt=receipt)

    def ListEvents(self, _request: object, _context: object) -> pb.ListEventsResponse:  # noqa: N802
        event = pb.Event(type=EVIL, picture_id=EVIL, caller=EVIL)
        event.data.update({EVIL: [EVIL, math.nan, {"deep": EVIL}]})
        return pb.ListEventsResponse(events=[event], next_cursor=EVIL)

    def ListJobs(self, _request: object, _context: object) -> pb.ListJobsResponse:  # noqa: N802
        return pb.ListJobsResponse(jobs=[_picture().job])

    def ListCategories(self, _request: object, _context: object) -> pb.ListCategoriesResponse:  # noqa: N802
        rules = [pb.CategoryRule(label=EVIL, min_score=math.nan), pb.CategoryRule(person=EVIL)]
        return pb.ListCategoriesResponse(categories=[pb.Category(category_id=EVIL, name=EVIL, rules=rules)])


def _picture() -> pb.Picture:
    found = two_people()
    picture = pb.Picture(
        picture_id="x",
        file_name="x",
        format="x",
        width=1,
        places=[pb.Place(path="x"), pb.Place(s3_object=recognizer_pb2.S3Object(bucket="x", key="x", version_id="x"))],
        faces=[
            pb.PictureFace(face_id="x", verdict=verdict, person_id="x", display_name="x") for verdict in found.verdicts
        ],
        labels=found.labels,
        texts=[recognizer_pb2.Text(content="x")],
        moderation_labels=[recognizer_pb2.ModerationLabel(name="x")],
        categories=[pb.PictureCategory(name="x")],
        answers=[pb.Answer(result=result) for result in found.results],
        same_pixels=["x"],
        job=pb.Job(job_id="x", status=status_pb2.Status(code=3, message="x"), caller="x"),
    )
    spoil(picture)
    picture.taken_time.seconds = 2**62
    picture.state = picture.job.state = 99  # type: ignore[assignment]
    picture.faces[0].verdict.score = picture.faces[0].score = math.nan
    return picture


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the hostile library at MARQUEE_LIBRARY_ADDRESS."""
    with serving(_Evil()) as address:
        monkeypatch.setenv("MARQUEE_LIBRARY_ADDRESS", address)
        yield


@pytest.mark.parametrize(
    "arguments",
    [("search",), ("search", "-o", "ids"), ("show", "x"), ("undelete", "x"), ("erase", "x", "-y"), *_LIST],
    ids=" ".join,
)
def test_tables_pass_nothing_to_the_terminal(arguments: tuple[str, ...]) -> None:
    """Names, places, texts, reasons and receipts show no control, bidi or markup character."""
    result = marquee("library", *arguments)
    assert result.exit_code == 0, result.output
    assert "Eve[bold]" in result.stdout
    assert controls(result.stdout + result.stderr) == set()


@pytest.mark.parametrize("arguments", [("search",), ("show", "x"), ("undelete", "x"), ("erase", "x", "-y"), *_LIST])
def test_json_is_valid_whatever_the_answer(arguments: tuple[str, ...]) -> None:
    """What JSON has no number for is null, a time that is none too, and control characters are escaped."""
    stdout = marquee("library", *arguments, "-o", "json").stdout
    strict(stdout)
    assert controls(stdout) == set()
