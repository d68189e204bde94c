"""Snapshots of the enrolled people, and their file."""

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from services.svm.gallery.people import EnrolledFace, EnrolledPerson, Snapshot, Source

NOON = "2026-11-21T12:00:00+00:00"
STORED = EnrolledFace("a2", "a2" * 32, Source("photos", "ada.jpg", "7"), NOON, "yunet")
ADA = EnrolledPerson("ada", "Ada", NOON, (EnrolledFace("a1", "a1" * 32, None, NOON), STORED))
BEA = EnrolledPerson("bea", "Bea", NOON, (EnrolledFace("b1"),))
NOBODY = {"person_id": "cat", "display_name": "Cat", "created": "", "faces": []}
ONE, TWO = np.full(128, 1.0), np.full(128, 2.0)


@pytest.fixture
def both() -> Snapshot:
    return Snapshot().with_person(BEA, [ONE]).with_person(ADA, [ONE, TWO])


def archive(**changes: Any) -> bytes:
    """Return an empty gallery's file with some parts changed."""
    about = {"format": "marquee-gallery/2", "network": "dlib-resnet-v1", "people": []} | changes.pop("about", {})
    buffer = io.BytesIO()
    np.savez(
        buffer,
        **{"about": np.frombuffer(json.dumps(about).encode(), np.uint8), "rows": np.empty((0, 128), np.float32)}
        | changes,
    )
    return buffer.getvalue()


def test_a_written_snapshot_is_read(both: Snapshot) -> None:
    """People, faces and version survive writing and reading."""
    copy = Snapshot.from_bytes(both.to_bytes())
    assert copy.people == (ADA, BEA)
    assert copy.rows.tolist() == [ONE.tolist(), TWO.tolist(), ONE.tolist()]
    assert copy.version == both.version


def test_an_absent_file_is_an_empty_snapshot() -> None:
    """A snapshot of nobody has no people and no version."""
    assert Snapshot.from_bytes(b"").people == ()
    assert Snapshot().version == ""


def test_any_change_changes_the_version(both: Snapshot) -> None:
    """A change of faces, names or people changes the version; equal content has equal versions."""
    renamed = both.with_person(EnrolledPerson("bea", "Beatrice", BEA.created, BEA.faces), [])
    others = {both.version, renamed.version, both.without("ada").version, both.with_person(ADA, [ONE]).version}
    assert len(others) == 4
    assert Snapshot().with_person(ADA, [ONE, TWO]).with_person(BEA, [ONE]).version == both.version


def test_removing_a_person_removes_their_faces(both: Snapshot) -> None:
    """Other people keep theirs; removing an unknown person is a no-op."""
    assert both.without("ada").gallery.rows.tolist() == [ONE.tolist()]
    assert both.without("cat").people == both.people


def test_removing_faces_leaves_the_others(both: Snapshot) -> None:
    """Each other face keeps its row, even one of the same id; who has none left is kept only if told so."""
    shared = both.with_person(EnrolledPerson("cat", "Cat", NOON, (EnrolledFace("a1"),)), [TWO])
    gone = {("ada", "a1"), ("bea", "b1")}
    left = shared.without_faces(gone, keep=())
    assert [(one.person_id, [face.face_id for face in one.faces]) for one in left.people] == [
        ("ada", ["a2"]),
        ("cat", ["a1"]),
    ]
    assert left.rows.tolist() == [TWO.tolist(), TWO.tolist()]
    assert [one.person_id for one in shared.without_faces(gone, keep={"bea"}).people] == ["ada", "bea", "cat"]


def test_earlier_galleries_are_read() -> None:
    """A gallery of the first format has faces of unknown origin, found by Haar; it is written in the present one."""
    people = [{"person_id": "ada", "display_name": "Ada", "created": NOON, "faces": ["a1"]}]
    first = archive(about={"format": "marquee-gallery/1", "people": people}, rows=ONE[np.newaxis].astype(np.float32))
    read = Snapshot.from_bytes(first)
    assert read.people == (EnrolledPerson("ada", "Ada", NOON, (EnrolledFace("a1", "", None, "", "haar"),)),)
    assert b"marquee-gallery/2" in read.to_bytes()
    assert Snapshot.from_bytes(read.to_bytes()).people == read.people


@pytest.mark.parametrize(
    "data",
    [
        b"half",
        archive()[:100],
        archive(about={"format": "marquee-gallery/9"}),
        archive(about={"network": "another"}),
        archive(about={"aligner": "another"}),
        archive(about={"people": [{"person_id": "ada"}]}),
        archive(about={"people": [NOBODY, NOBODY]}),
        archive(rows=np.zeros((1, 128), np.float32)),
        archive(rows=np.zeros((0, 64), np.float32)),
        archive(rows=np.array([object()])),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    """A file that is truncated, foreign, inconsistent or pickled is refused as a whole."""
    with pytest.raises(ValueError, match="not a gallery of the SVM recognizer"):
        Snapshot.from_bytes(data)


def compressed(snapshot: Snapshot) -> bytes:
    """Return the file as somebody who wanted it smaller would have saved it."""
    with np.load(io.BytesIO(snapshot.to_bytes())) as parts:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **parts)
    return buffer.getvalue()


@pytest.mark.parametrize("written", [Snapshot.to_bytes, compressed])
def test_any_damage_is_reported_or_harmless(both: Snapshot, written: Callable[[Snapshot], bytes]) -> None:
    """A file with a flipped bit anywhere, or cut anywhere, is refused with ValueError or has the same content."""
    whole = written(both)
    assert Snapshot.from_bytes(whole).version == both.version
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        for damaged in (bytes(flipped), whole[: place + 1]):
            with contextlib.suppress(ValueError):
                assert Snapshot.from_bytes(damaged).version == both.version


def test_nan_is_refused() -> None:
    """A row of NaN is refused, because it would be near to nobody and spoil every comparison."""
    snapshot = Snapshot().with_person(BEA, [np.full(128, np.nan)])
    with pytest.raises(ValueError, match="rows do not match"):
        Snapshot.from_bytes(snapshot.to_bytes())
