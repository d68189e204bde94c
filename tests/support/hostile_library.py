"""Requests to the library that no well-meaning caller sends, each with the status that it answers."""

from google.protobuf.message import Message

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from tests.support.hostile import MIB, NAN, Hostile, field, invalid

SERVICE = "/marquee.library.v1.LibraryService"
UNKNOWN_ID = "01900000-0000-7000-8000-000000000000"


def _addition(content: bytes = b"", **fields: object) -> pb.AddImageRequest:
    return pb.AddImageRequest(image=recognizer_pb2.Image(content=content), **fields)


def _of(method: str, message: Message | bytes, reason: str = "INVALID_REQUEST") -> Hostile:
    return invalid(message, f"{SERVICE}/{method}", reason)


def _object(bucket: str, key: str, code: str, reason: str) -> Hostile:
    image = recognizer_pb2.Image(s3_object=recognizer_pb2.S3Object(bucket=bucket, key=key))
    return Hostile(f"{SERVICE}/AddImage", pb.AddImageRequest(image=image).SerializeToString(), code, reason)


def _missing(method: str, message: Message, reason: str = "PICTURE_NOT_FOUND") -> Hostile:
    return Hostile(f"{SERVICE}/{method}", message.SerializeToString(), "NOT_FOUND", reason)


def _search(**fields: object) -> Hostile:
    return _of("SearchPictures", pb.SearchPicturesRequest(query=pb.PictureQuery(**fields)))


CALLS = {
    "no picture": _of("AddImage", b"", "IMAGE_MISSING"),
    "a picture of 0 bytes": _of("AddImage", _addition(), "IMAGE_MISSING"),
    "text for a picture": _of("AddImage", _addition(b"GIF89a" + b"x" * 100), "INVALID_IMAGE"),
    "15 MiB and a byte": _of("AddImage", _addition(b"\xff" * (15 * MIB + 1)), "IMAGE_TOO_LARGE"),
    "a path with a NUL": _of("AddImage", _addition(b"x", path="a\0b.jpg")),
    "a path of 10,001 characters": _of("AddImage", _addition(b"x", path="x" * 10_001)),
    "a path as a collection": _of("AddImage", _addition(b"x", collection="../a")),
    "65 categories": _of("AddImage", _addition(b"x", categories=["a"] * 65)),
    "a bucket that is not allowed": _object("other", "a.jpg", "PERMISSION_DENIED", "BUCKET_NOT_ALLOWED"),
    "a way out of a bucket": _object("../marquee-demo", "a.jpg", "PERMISSION_DENIED", "BUCKET_NOT_ALLOWED"),
    "an object without a key": _object("marquee-demo", "", "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "random bytes": _of("AddImage", b"\xff" * 100, "MALFORMED_REQUEST"),
    "1,000,000 empty categories": _of("AddImage", field(9) * 1_000_000),
    "SQL as a picture_id": _missing("GetPicture", pb.GetPictureRequest(picture_id="' OR 1=1; --")),
    "a path as a picture_id": _missing("GetPictureContent", pb.GetPictureContentRequest(picture_id="../../etc/passwd")),
    "an unknown picture_id": _missing("DeletePicture", pb.DeletePictureRequest(picture_id=UNKNOWN_ID)),
    "a picture_id of 37 characters": _of("ErasePicture", pb.ErasePictureRequest(picture_id="x" * 37)),
    "17 people": _search(people=pb.PeopleFilter(all_of=["a"] * 17)),
    "a NUL to search for": _search(text="a\0b"),
    "a score of NaN": _search(score=pb.ScoreRange(min=NAN)),
    "a negative page": _of("SearchPictures", pb.SearchPicturesRequest(page_size=-1)),
    "a page_token of nobody": _of("SearchPictures", pb.SearchPicturesRequest(page_token="'; --")),  # noqa: S106
    "a category without a name": _of("SetCategory", pb.SetCategoryRequest(category=pb.Category(name=" "))),
    "a score over 1": _of(
        "SetCategory",
        pb.SetCategoryRequest(category=pb.Category(name="a", rules=[pb.CategoryRule(label="b", min_score=2)])),
    ),
    "SQL as a category_id": _missing(
        "DeleteCategory", pb.DeleteCategoryRequest(category_id="'; DROP TABLE picture"), "CATEGORY_NOT_FOUND"
    ),
    "a cursor of nobody": _of("ListEvents", pb.ListEventsRequest(cursor="-1; --")),
}
