"""Tests of collections, faces and users of the local Rekognition endpoint, with plain boto3 calls."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import ImageEnhance, ImageFilter

from local import pictures
from tests.support import pictures as pictures_of

pytestmark = pytest.mark.slow

DEMO = pictures_of.demo()
HOPPER, COLLINS, BOTH, COFFEE = ({"Bytes": DEMO[name]} for name in ("hopper", "collins", "both", "coffee"))


@pytest.fixture(scope="module")
def client(rekognition: SimpleNamespace) -> Any:
    return rekognition.client


def expect_error(code: str, call: Any, **parameters: Any) -> str:
    """Make a call that must fail with AWS's code; return the error's message."""
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    assert refusal.value.response["Error"]["Code"] == code
    return refusal.value.response["Error"]["Message"]


def index(client: Any, collection: str, image: dict, **parameters: Any) -> list[str]:
    records = client.index_faces(CollectionId=collection, Image=image, **parameters)["FaceRecords"]
    return [record["Face"]["FaceId"] for record in records]


def test_collection_lifecycle(client: Any) -> None:
    """A collection exists from creation to deletion; before and after, AWS's codes say that it does not."""
    created = client.create_collection(CollectionId="people")
    assert created["StatusCode"] == 200
    assert created["CollectionArn"].endswith(":123456789012:collection/people")
    expect_error("ResourceAlreadyExistsException", client.create_collection, CollectionId="people")
    described = client.describe_collection(CollectionId="people")
    assert (described["FaceCount"], described["UserCount"]) == (0, 0)
    assert described["CollectionARN"] == "arn:aws:rekognition:us-east-1:123456789012:collection/people"
    assert "people" in client.list_collections()["CollectionIds"]
    assert client.delete_collection(CollectionId="people")["StatusCode"] == 200
    for call in (client.delete_collection, client.describe_collection, client.list_faces):
        assert "people does not exist" in expect_error("ResourceNotFoundException", call, CollectionId="people")


def test_collections_are_paginated(client: Any) -> None:
    """The paginator of boto3 yields every collection once, in order; a made-up token is refused."""
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        client.create_collection(CollectionId=name)
    pages = list(client.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 2}))
    assert [name for page in pages for name in page["CollectionIds"]] == names
    assert all(len(page["CollectionIds"]) == len(page["FaceModelVersions"]) <= 2 for page in pages)
    for token in ("%%%", "é", "a"):
        expect_error("InvalidPaginationTokenException", client.list_collections, NextToken=token)
    for name in names:
        client.delete_collection(CollectionId=name)


def test_indexing_keeps_the_largest_faces_and_reports_the_others(client: Any, collection: str) -> None:
    """Of two faces, MaxFaces=1 keeps the larger, Hopper's on the right; the other is returned with its reason."""
    answer = client.index_faces(CollectionId=collection, Image=BOTH, ExternalImageId="both.jpg", MaxFaces=1)
    (record,), (other,) = answer["FaceRecords"], answer["UnindexedFaces"]
    assert record["Face"]["BoundingBox"]["Left"] > 0.5 > other["FaceDetail"]["BoundingBox"]["Left"]
    assert other["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert record["Face"]["ExternalImageId"] == "both.jpg"
    assert record["Face"]["BoundingBox"] == record["FaceDetail"]["BoundingBox"]
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 1


def test_a_picture_indexed_again_adds_no_face(client: Any, collection: str) -> None:
    """As with AWS, the same picture and external ID add no duplicate to a collection; another ID does."""
    first = index(client, collection, BOTH, ExternalImageId="a")
    assert index(client, collection, BOTH, ExternalImageId="a") == first
    assert not set(index(client, collection, BOTH, ExternalImageId="b")) & set(first)
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 4


def test_poor_faces_are_not_indexed(client: Any, collection: str) -> None:
    """A dark and blurred face is refused with both reasons, but kept without a filter."""
    blurred = pictures.photo("Grace Hopper").filter(ImageFilter.GaussianBlur(6))
    poor = ImageEnhance.Brightness(blurred).enhance(0.4)
    image = {"Bytes": pictures_of.jpeg(poor)}
    answer = client.index_faces(CollectionId=collection, Image=image, QualityFilter="HIGH")
    assert answer["FaceRecords"] == []
    assert {"LOW_BRIGHTNESS", "LOW_SHARPNESS"} <= set(answer["UnindexedFaces"][0]["Reasons"])
    assert len(index(client, collection, image, QualityFilter="NONE")) == 1


def test_faces_are_listed_in_pages_and_by_id(client: Any, collection: str) -> None:
    """The paginator yields every face once; FaceIds selects some of them."""
    ids = index(client, collection, BOTH) + index(client, collection, HOPPER)
    pages = client.get_paginator("list_faces").paginate(CollectionId=collection, PaginationConfig={"PageSize": 2})
    assert [face["FaceId"] for page in pages for face in page["Faces"]] == ids
    selection = client.list_faces(CollectionId=collection, FaceIds=[ids[2], str(uuid.uuid4())])["Faces"]
    assert [face["FaceId"] for face in selection] == [ids[2]]
    expect_error("InvalidPaginationTokenException", client.list_faces, CollectionId=collection, NextToken="eA==")


def test_search_by_face_finds_the_person_elsewhere(client: Any, collection: str) -> None:
    """Hopper's face finds her other picture, not itself or Collins; with threshold 0 it finds all others."""
    hopper = index(client, collection, HOPPER, ExternalImageId="hopper")[0]
    index(client, collection, BOTH, ExternalImageId="both")
    answer = client.search_faces(CollectionId=collection, FaceId=hopper)
    (match,) = answer["FaceMatches"]
    assert answer["SearchedFaceId"] == hopper
    assert match["Similarity"] > 95
    assert match["Face"]["BoundingBox"]["Left"] > 0.5
    every = client.search_faces(CollectionId=collection, FaceId=hopper, FaceMatchThreshold=0)["FaceMatches"]
    assert [one["Similarity"] for one in every] == sorted((one["Similarity"] for one in every), reverse=True)
    assert every[-1]["Similarity"] < 60
    expect_error("ResourceNotFoundException", client.search_faces, CollectionId=collection, FaceId=str(uuid.uuid4()))


def test_search_by_picture_uses_only_the_largest_face(client: Any, collection: str) -> None:
    """If the collection has only Collins, a picture in which Hopper's face is larger finds nobody."""
    index(client, collection, COLLINS)
    answer = client.search_faces_by_image(CollectionId=collection, Image=BOTH)
    assert answer["SearchedFaceBoundingBox"]["Left"] > 0.5
    assert answer["FaceMatches"] == []
    assert len(client.search_faces_by_image(CollectionId=collection, Image=COLLINS)["FaceMatches"]) == 1
    message = expect_error(
        "InvalidParameterException", client.search_faces_by_image, CollectionId=collection, Image=COFFEE
    )
    assert "no faces in the image" in message


def test_faces_are_deleted(client: Any, collection: str) -> None:
    """A deleted face is no longer found, and a missing face is reported."""
    hopper = index(client, collection, HOPPER)
    both = index(client, collection, BOTH)
    missing = str(uuid.uuid4())
    answer = client.delete_faces(CollectionId=collection, FaceIds=[*hopper, missing])
    assert answer["DeletedFaces"] == hopper
    assert answer["UnsuccessfulFaceDeletions"] == [{"FaceId": missing, "Reasons": ["FACE_NOT_FOUND"]}]
    matches = client.search_faces_by_image(CollectionId=collection, Image=HOPPER)["FaceMatches"]
    assert [match["Face"]["FaceId"] for match in matches] == both[:1]


def test_user_lifecycle(client: Any, collection: str) -> None:
    """A user is created, gets faces, is found by face and picture, keeps its faces, and is deleted without them."""
    hopper, collins = index(client, collection, BOTH)
    client.create_user(CollectionId=collection, UserId="grace")
    expect_error("ConflictException", client.create_user, CollectionId=collection, UserId="grace")
    assert client.list_users(CollectionId=collection)["Users"] == [{"UserId": "grace", "UserStatus": "CREATED"}]
    association = client.associate_faces(CollectionId=collection, UserId="grace", FaceIds=[hopper])
    assert association["AssociatedFaces"] == [{"FaceId": hopper}]
    assert client.list_users(CollectionId=collection)["Users"] == [{"UserId": "grace", "UserStatus": "ACTIVE"}]
    assert [face["UserId"] for face in client.list_faces(CollectionId=collection, UserId="grace")["Faces"]] == ["grace"]
    by_face = client.search_users(CollectionId=collection, FaceId=hopper)
    assert [match["User"]["UserId"] for match in by_face["UserMatches"]] == ["grace"]
    by_picture = client.search_users_by_image(CollectionId=collection, Image=BOTH)
    assert [match["User"]["UserId"] for match in by_picture["UserMatches"]] == ["grace"]
    assert [face["Reasons"] for face in by_picture["UnsearchedFaces"]] == [["FACE_NOT_LARGEST"]]
    assert client.search_users(CollectionId=collection, FaceId=collins)["UserMatches"] == []
    failures = client.delete_faces(CollectionId=collection, FaceIds=[hopper])["UnsuccessfulFaceDeletions"]
    assert failures[0]["Reasons"] == ["ASSOCIATED_TO_AN_EXISTING_USER"]
    client.delete_user(CollectionId=collection, UserId="grace")
    expect_error("ResourceNotFoundException", client.delete_user, CollectionId=collection, UserId="grace")
    assert client.delete_faces(CollectionId=collection, FaceIds=[hopper])["DeletedFaces"] == [hopper]


def test_faces_that_a_user_cannot_have(client: Any, collection: str) -> None:
    """A face that is too different, another user's or unknown is returned with its reason."""
    hopper, collins = index(client, collection, BOTH)
    (again,) = index(client, collection, HOPPER)
    for user in ("grace", "eileen"):
        client.create_user(CollectionId=collection, UserId=user)
    client.associate_faces(CollectionId=collection, UserId="grace", FaceIds=[hopper])
    missing = str(uuid.uuid4())
    face_ids = [collins, again, missing, hopper]
    answer = client.associate_faces(CollectionId=collection, UserId="grace", FaceIds=face_ids)
    reasons = {one["FaceId"]: one["Reasons"] for one in answer["UnsuccessfulFaceAssociations"]}
    assert reasons == {collins: ["LOW_MATCH_CONFIDENCE"], missing: ["FACE_NOT_FOUND"]}
    assert answer["AssociatedFaces"] == [{"FaceId": again}]
    other = client.associate_faces(CollectionId=collection, UserId="eileen", FaceIds=[hopper])
    assert other["UnsuccessfulFaceAssociations"][0]["Reasons"] == ["ASSOCIATED_TO_A_DIFFERENT_USER"]
    removal = client.disassociate_faces(CollectionId=collection, UserId="grace", FaceIds=[again, missing])
    assert removal["DisassociatedFaces"] == [{"FaceId": again}]
    assert removal["UnsuccessfulFaceDisassociations"][0]["Reasons"] == ["FACE_NOT_FOUND"]


def test_users_are_found_by_users(client: Any, collection: str) -> None:
    """SearchUsers requires exactly one of FaceId and UserId, and never finds the user itself."""
    (hopper,), (other, _) = index(client, collection, HOPPER), index(client, collection, BOTH)
    for user, face in (("grace", hopper), ("admiral", other)):
        client.create_user(CollectionId=collection, UserId=user)
        client.associate_faces(CollectionId=collection, UserId=user, FaceIds=[face])
    answer = client.search_users(CollectionId=collection, UserId="grace")
    assert [match["User"]["UserId"] for match in answer["UserMatches"]] == ["admiral"]
    assert answer["SearchedUser"] == {"UserId": "grace"}
    expect_error("InvalidParameterException", client.search_users, CollectionId=collection)
    expect_error("ResourceNotFoundException", client.search_users, CollectionId=collection, UserId="nobody")


def test_a_repeated_request_runs_once(client: Any, collection: str) -> None:
    """The same ClientRequestToken gets the same response, but is refused with other parameters."""
    parameters = {"CollectionId": collection, "UserId": "grace", "ClientRequestToken": "once"}
    client.create_user(**parameters)
    client.create_user(**parameters)
    expect_error("IdempotentParameterMismatchException", client.create_user, **parameters | {"UserId": "eileen"})
    assert [user["UserId"] for user in client.list_users(CollectionId=collection)["Users"]] == ["grace"]


@pytest.mark.parametrize(
    ("operation", "parameters", "message"),
    [
        ("create_collection", {"CollectionId": "a b"}, "Member must satisfy regular expression pattern"),
        ("create_collection", {"CollectionId": "x" * 256}, "Member must have length less than or equal to 255"),
        ("index_faces", {"CollectionId": "c", "Image": HOPPER, "QualityFilter": "BEST"}, "enum value set: [NONE, AUTO"),
        ("search_faces", {"CollectionId": "c", "FaceId": "1"}, "Value '1' at 'faceId' failed"),
        ("delete_faces", {"CollectionId": "c", "FaceIds": ["x"]}, "at 'faceIds.1.member' failed"),
    ],
)
def test_invalid_parameters_are_refused(client: Any, operation: str, parameters: dict, message: str) -> None:
    """The endpoint checks patterns, enums and maximum lengths, which boto3 does not, with AWS's messages."""
    assert message in expect_error("ValidationException", getattr(client, operation), **parameters)
