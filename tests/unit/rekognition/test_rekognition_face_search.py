"""FACE_SEARCH against scripted answers: which faces it searches, how it crops them, and how it uses the matches."""

import base64
import io
import threading
import time
from typing import Any

import numpy as np
import pytest
from google.rpc import code_pb2
from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import BudgetExhausted, CollectionNotFound, InvalidRequest
from services.runtime.images.image import Image
from tests.support.aws import Answer, Script, refusal, scripted_aws
from tests.support.pictures import encode
from tests.support.processes import PATIENCE
from tests.support.rekognition import LEFT, RESPONSES, options, recognize, respond, running_recognizer

pytestmark = pytest.mark.usefixtures("aws_credentials")
COLLECTION = "people"
PICTURE = encode(Pillow.new("RGB", (400, 300)))
RIGHT = {"Left": 0.6, "Top": 0.2, "Width": 0.3, "Height": 0.5}


async def test_face_search_needs_a_collection() -> None:
    """The error names the setting, and the call costs nothing."""
    with scripted_aws(respond) as aws:
        with pytest.raises(InvalidRequest, match="MARQUEE_REKOGNITION_COLLECTION"):
            await recognize(aws.url, pb.FEATURE_FACE_SEARCH)
        assert not aws.requests


def _refusing_the_lookup(code: str) -> Script:
    """Answer as AWS does by default, but refuse DescribeCollection with the code."""

    def script(operation: str, body: dict[str, Any]) -> Answer:
        return refusal(code) if operation == "DescribeCollection" else respond(operation, body)

    return script


async def test_a_missing_collection_costs_nothing() -> None:
    """It is known before DetectFaces is paid for, and looked up again in the next call."""
    with scripted_aws(_refusing_the_lookup("ResourceNotFoundException")) as aws:
        async with running_recognizer(aws.url, rekognition_collection=COLLECTION) as recognizer:
            for _ in range(2):
                with pytest.raises(CollectionNotFound):
                    await recognizer.recognize(Image(PICTURE), options(pb.FEATURE_FACE_SEARCH))
            assert recognizer.account.ledger.spending().today_micro_usd == 0
    assert [operation for operation, *_ in aws.requests] == ["DescribeCollection"] * 2


async def test_a_deleted_collection_costs_one_search() -> None:
    """The search that does not find it any more is the last; the next call looks it up again."""
    gone = False

    def script(operation: str, body: dict[str, Any]) -> Answer:
        missing = gone and operation != "DetectFaces"
        return refusal("ResourceNotFoundException") if missing else respond(operation, body)

    with scripted_aws(script) as aws:
        async with running_recognizer(aws.url, rekognition_collection=COLLECTION) as recognizer:
            await recognizer.recognize(Image(PICTURE), options(pb.FEATURE_FACE_SEARCH))
            gone = True
            for _ in range(2):
                with pytest.raises(CollectionNotFound):
                    await recognizer.recognize(Image(PICTURE), options(pb.FEATURE_FACE_SEARCH))
    asked = [operation for operation, *_ in aws.requests]
    assert asked == ["DescribeCollection", *["DetectFaces", "SearchFacesByImage"] * 2, "DescribeCollection"]


async def test_a_collection_is_looked_up_once_a_minute() -> None:
    """Searches do not pay with time for what is known, and a role that may not look it up can search."""
    with scripted_aws(_refusing_the_lookup("AccessDeniedException")) as aws:
        async with running_recognizer(aws.url, rekognition_collection=COLLECTION) as recognizer:
            for _ in range(2):
                result = await recognizer.recognize(Image(PICTURE), options(pb.FEATURE_FACE_SEARCH))
                assert result.faces[0].candidates
    operations = [operation for operation, *_ in aws.requests]
    assert operations == ["DescribeCollection", *["DetectFaces", "SearchFacesByImage"] * 2]


async def test_a_search_that_cannot_be_paid_costs_nothing() -> None:
    """Where the budget has enough for DetectFaces but not for a search, neither is paid for."""
    with scripted_aws(respond) as aws:
        with pytest.raises(BudgetExhausted):
            await recognize(
                aws.url,
                pb.FEATURE_FACE_SEARCH,
                rekognition_collection=COLLECTION,
                rekognition_daily_cap_usd=0.0015,
            )
        assert not aws.requests


def crowd(count: int) -> dict[str, object]:
    """Return a row of faces, the largest on the left."""
    return {
        "FaceDetails": [
            {"BoundingBox": {"Left": number / count, "Top": 0.2, "Width": 0.8 / count, "Height": 0.6 - number / 100}}
            for number in range(count)
        ]
    }


async def test_a_crowd_is_searched_a_few_at_a_time() -> None:
    """The largest faces up to the limit are searched, never more at once than allowed; a warning mentions the rest."""
    running, most, two = 0, 0, threading.Barrier(2)

    def script(operation: str, body: dict[str, Any]) -> Answer:
        nonlocal running, most
        if operation == "DescribeCollection":
            return respond(operation, body)
        if operation == "DetectFaces":
            return 200, crowd(9)
        running += 1
        most = max(most, running)
        two.wait(PATIENCE)
        time.sleep(0.1)  # time for a third search to start
        running -= 1
        return 200, {"FaceMatches": [], "SearchedFaceBoundingBox": LEFT}

    with scripted_aws(script) as aws:
        result = await recognize(
            aws.url,
            pb.FEATURE_FACE_SEARCH,
            rekognition_collection=COLLECTION,
            rekognition_search_faces=6,
            rekognition_search_parallel=2,
        )
    assert (len(aws.times("SearchFacesByImage")), most) == (6, 2)
    assert len(result.faces) == 9
    assert list(result.warnings) == ["searched the 6 largest of 9 faces"]
    assert result.cost_micro_usd == 7000


async def test_each_search_shows_its_own_face_alone() -> None:
    """A crop contains the face with some margin; a neighbour that reaches into it is painted over."""
    canvas = np.zeros((300, 400, 3), np.uint8)
    canvas[60:180, 100:180] = (255, 0, 0)
    canvas[40:200, 190:290] = (0, 0, 255)
    faces = [
        {"BoundingBox": {"Left": left / 400, "Top": top / 300, "Width": width / 400, "Height": height / 300}}
        for left, top, width, height in ((100, 60, 80, 120), (190, 40, 100, 160))
    ]
    crops = []

    def script(operation: str, body: dict[str, Any]) -> Answer:
        if operation == "DetectFaces":
            return 200, {"FaceDetails": faces}
        crops.append(np.asarray(Pillow.open(io.BytesIO(base64.b64decode(body["Image"]["Bytes"])))).astype(int))
        return refusal("InvalidParameterException")

    image = Image(encode(Pillow.fromarray(canvas), "PNG"))
    with scripted_aws(script) as aws:
        result = await recognize(aws.url, pb.FEATURE_FACE_SEARCH, image=image, rekognition_collection=COLLECTION)
    assert len(result.faces) == 2
    assert not any(face.candidates for face in result.faces)
    reds = [int(((crop[:, :, 0] > 200) & (crop[:, :, 2] < 60)).sum()) for crop in crops]
    blues = [int(((crop[:, :, 2] > 200) & (crop[:, :, 0] < 60)).sum()) for crop in crops]
    (red,) = [number for number in range(2) if reds[number]]
    assert reds[red] == pytest.approx(80 * 120, rel=0.05)
    assert blues[red] == reds[1 - red] == 0
    assert blues[1 - red] == pytest.approx(100 * 160, rel=0.05)
    assert min(min(crop.shape[:2]) for crop in crops) >= 160


async def test_a_match_of_another_face_names_nobody() -> None:
    """Matches are dropped if Rekognition searched another face: a crop's largest face may not be the intended one."""

    def script(operation: str, _: dict[str, Any]) -> Answer:
        if operation == "DetectFaces":
            return 200, {"FaceDetails": [{"BoundingBox": LEFT}, {"BoundingBox": RIGHT}]}
        corner = {"Left": 0.0, "Top": 0.0, "Width": 0.1, "Height": 0.1}
        return 200, {**RESPONSES["SearchFacesByImage"], "SearchedFaceBoundingBox": corner}

    with scripted_aws(script) as aws:
        result = await recognize(aws.url, pb.FEATURE_FACE_SEARCH, rekognition_collection=COLLECTION)
    assert [len(face.candidates) for face in result.faces] == [0, 0]


async def test_a_search_that_fails_leaves_the_other_faces() -> None:
    """The result names FACE_SEARCH as failed and still contains the matches of the other face."""
    searches = iter([refusal("InternalServerError", 500), (200, RESPONSES["SearchFacesByImage"])])

    def script(operation: str, _: dict[str, Any]) -> Answer:
        if operation == "DetectFaces":
            return 200, {"FaceDetails": [{"BoundingBox": LEFT}, {"BoundingBox": RIGHT}]}
        status, answer = next(searches)
        whole = {"Left": 0.25, "Top": 0.25, "Width": 0.5, "Height": 0.5}
        return status, {**answer, "SearchedFaceBoundingBox": whole}

    with scripted_aws(script) as aws:
        result = await recognize(
            aws.url, pb.FEATURE_FACE_SEARCH, rekognition_collection=COLLECTION, rekognition_attempts=1
        )
    assert sorted(len(face.candidates) for face in result.faces) == [0, 2]
    (failure,) = result.feature_errors
    assert (failure.feature, failure.status.code) == (pb.FEATURE_FACE_SEARCH, code_pb2.UNAVAILABLE)
    assert list(result.warnings) == ["face search failed for 1 of 2 faces"]
