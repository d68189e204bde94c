"""The key of an answer: what changes an answer changes it, and nothing else does."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.cache.question import Keys
from services.runtime import requests
from services.runtime.messages import envelope

FEATURES = tuple(one for one in pb.Feature.values() if one not in (0, pb.FEATURE_FACE_SEARCH))
NAMES = st.text("ab/", max_size=3)
FRACTIONS = st.floats(0, 1, width=32)
BOXES = st.builds(pb.BoundingBox, left=FRACTIONS, top=FRACTIONS, width=FRACTIONS, height=FRACTIONS)
OBJECTS = st.builds(pb.S3Object, bucket=NAMES, key=NAMES, version_id=st.text("12", min_size=1, max_size=2))
IMAGES = st.builds(pb.Image, content=st.binary(min_size=1, max_size=3)) | st.builds(pb.Image, s3_object=OBJECTS)
QUESTIONS = st.builds(
    pb.RecognizeImageRequest,
    image=IMAGES,
    recognizers=st.lists(NAMES, max_size=2),
    features=st.lists(st.sampled_from(FEATURES), max_size=3),
    max_labels=st.none() | st.integers(1, 12),
    min_score=st.none() | FRACTIONS,
    policy=st.sampled_from(pb.Policy.values()),
    collection=NAMES,
    recognizer_options=st.dictionaries(NAMES, st.builds(pb.RecognizerOptions, min_score=FRACTIONS), max_size=2),
    face_boxes=st.lists(BOXES, max_size=2),
    required=st.lists(NAMES, max_size=1),
)


def key_of(question: pb.RecognizeImageRequest, *whom: str) -> bytes | None:
    received = envelope.read(question.SerializeToString(), pb.RecognizeImageRequest)
    return Keys(received.request, *received.pictures).of(received.request.SerializeToString(), *whom)


def meaning(question: pb.RecognizeImageRequest) -> tuple[object, ...]:
    """Return all that an answer depends on, field by field."""
    plain = pb.RecognizeImageRequest()
    plain.CopyFrom(question)
    for name in ("request_id", "features", "max_labels"):
        plain.ClearField(name)
    return (
        frozenset(requests.features_of(question)),
        requests.max_labels_of(question),
        plain.SerializeToString(deterministic=True),
    )


@given(QUESTIONS, QUESTIONS, NAMES, NAMES)
def test_equal_keys_mean_equal_questions(
    one: pb.RecognizeImageRequest, other: pb.RecognizeImageRequest, here: str, there: str
) -> None:
    """Two questions have the same key exactly if they ask the same of the same recognizer."""
    are_equal = (meaning(one), here) == (meaning(other), there)
    assert (key_of(one, here) == key_of(other, there)) == are_equal


CHANGES: dict[str, Callable[[pb.RecognizeImageRequest], None]] = {
    "content": lambda one: setattr(one.image, "content", b"another"),
    "object": lambda one: one.image.s3_object.MergeFrom(pb.S3Object(bucket="b", key="k", version_id="1")),
    "recognizers": lambda one: one.recognizers.append("a"),
    "features": lambda one: one.features.append(pb.FEATURE_TEXT),
    "max_labels": lambda one: setattr(one, "max_labels", 3),
    "min_score": lambda one: setattr(one, "min_score", 0.5),
    "policy": lambda one: setattr(one, "policy", pb.POLICY_CASCADE),
    "collection": lambda one: setattr(one, "collection", "c"),
    "options": lambda one: one.recognizer_options["a"].timeout.FromSeconds(1),
    "face_boxes": lambda one: one.face_boxes.add(left=0.5),
    "required": lambda one: one.required.append("a"),
    "a field that is newer than this gateway": lambda one: one.MergeFromString(b"\xf8\x07\x01"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_of_the_question_is_one_of_the_key(change: Callable[[pb.RecognizeImageRequest], None]) -> None:
    """A question that differs in one field has another key."""
    question = pb.RecognizeImageRequest(image=pb.Image(content=b"picture"))
    before = key_of(question)
    change(question)
    assert key_of(question) not in (None, before)


@given(QUESTIONS, st.text(max_size=3))
def test_what_changes_no_answer_changes_no_key(question: pb.RecognizeImageRequest, request_id: str) -> None:
    """request_id, the order of features and defaults that are spelled out change no key."""
    other = pb.RecognizeImageRequest()
    other.CopyFrom(question)
    other.request_id = request_id
    other.features[:] = reversed(requests.features_of(question))
    other.max_labels = requests.max_labels_of(question)
    assert key_of(other) == key_of(question)


UNKEPT = {
    "no_cache": {"no_cache": True},
    "embeddings": {"include_embeddings": True},
    "a search": {"features": [pb.FEATURE_CELEBRITIES, pb.FEATURE_FACE_SEARCH]},
    "an object that may change": {"image": pb.Image(s3_object=pb.S3Object(bucket="b", key="k"))},
}


@pytest.mark.parametrize("fields", UNKEPT.values(), ids=UNKEPT)
def test_what_must_not_be_kept_has_no_key(fields: dict[str, object]) -> None:
    """Answers that nobody wants kept, that are about enrolled faces, or whose picture may change have no key."""
    assert key_of(pb.RecognizeImageRequest(**({"image": pb.Image(content=b"picture")} | fields))) is None
