"""Splitting: which faces of a person belong together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marquee.library.v1 import people_pb2 as pb
from services.library.grouping.splitting import groups
from tests.support.library import refused, run_sql
from tests.support.servers import LEFT
from tests.unit.library.people.conftest import Album, album

__all__ = ["album"]
_MODEL = "INSERT INTO vector_model (name, version, metric, dimensions) VALUES ('dlib-resnet-v1', '1', '{}', 3)"
_USED = "INSERT INTO used_model (collection_id, model_id) SELECT collection_id, model_id FROM collection, vector_model"
_VECTOR = """
INSERT INTO face_vector (face_id, model_id, collection_id, picture_id, vector)
SELECT face_id, model_id, collection_id, picture_id, '{}' FROM face JOIN picture USING (picture_id), vector_model
WHERE face_id = '{}'
"""


def distances(*places: float) -> np.ndarray:
    """Return the distances of faces that lie on a line."""
    line = np.array(places, np.float32)
    return np.abs(line[:, None] - line[None, :])


def test_faces_that_are_near_to_each_other_are_a_group() -> None:
    """The largest comes first, and in it the face in its middle; within the distance all are one."""
    far = distances(0.0, 5.0, 0.2, 0.1, 5.1)
    assert groups(far, 0.6) == [[3, 0, 2], [1, 4]]
    assert [sorted(one) for one in groups(far, 9.0)] == [[0, 1, 2, 3, 4]]
    assert groups(far, None) == [[3, 0, 2], [1, 4]]
    assert groups(distances(), None) == []
    assert groups(distances(1.0), None) == groups(distances(1.0), 0.6) == [[0]]
    assert groups(distances(1.0, 2.0), None) == [[0], [1]]


@given(st.lists(st.floats(0, 10, width=32), max_size=40), st.one_of(st.none(), st.floats(0, 10)))
def test_each_face_is_in_one_group(places: list[float], most: float | None) -> None:
    """No face is lost, none is twice, and groups fall in size."""
    found = groups(distances(*places), most)
    assert sorted(one for group in found for one in group) == list(range(len(places)))
    assert [len(group) for group in found] == sorted((len(group) for group in found), reverse=True)


def test_a_great_many_groups_become_a_hundred() -> None:
    """Those nearest to each other are one then."""
    assert len(groups(distances(*range(150)), 0.5)) == 100


async def test_a_mixed_person_is_split(album: Album) -> None:
    """The proposal has each person's faces as a group, with how many were decided; taken up, there are two people."""
    faces = [(await album.add((LEFT, "Ada")))[0] for _ in range(5)]
    ada = (await album.face(faces[0])).person_id
    request = pb.ProposeSplitRequest(person_id=ada)
    assert await refused(album.people.ProposeSplit(request)) == ("FAILED_PRECONDITION", "MODEL_NOT_FOUND")
    for statement in (_MODEL.format("l2"), _USED):
        await run_sql(album.url, statement)
    for number, face_id in enumerate(faces):
        await run_sql(album.url, _VECTOR.format([number // 3, 0.1 * number, 0], face_id))
    await album.name(ada, faces[0])
    proposed = await album.people.ProposeSplit(request)
    assert [set(group.face_ids) for group in proposed.groups] == [set(faces[:3]), set(faces[3:])]
    assert ([group.decided_count for group in proposed.groups], proposed.compared_count) == ([1, 0], 5)
    await album.create("Eve", *proposed.groups[1].face_ids)
    assert await album.shows(*faces) == ["Ada"] * 3 + ["Eve"] * 2
    (alone,) = (await album.people.ProposeSplit(request)).groups
    assert set(alone.face_ids) == set(faces[:3])
