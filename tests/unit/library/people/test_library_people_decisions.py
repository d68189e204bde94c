"""Faces: named, refused and marked, and people merged and told apart."""

import asyncio

import pytest

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from tests.support.library import refused
from tests.support.servers import LEFT, RIGHT
from tests.unit.library.people.conftest import Album


async def refuse(album: Album, person_id: str, *face_ids: str) -> str:
    request = pb.RefuseFacesRequest(person_id=person_id, face_ids=face_ids)
    return (await album.people.RefuseFaces(request)).action_id


async def mark(album: Album, mark: "pb.FaceMark.ValueType", *face_ids: str) -> str:
    return (await album.people.MarkFaces(pb.MarkFacesRequest(face_ids=face_ids, mark=mark))).action_id


async def merge(album: Album, person_id: str, *merged_ids: str) -> pb.LibraryPerson:
    request = pb.MergePeopleRequest(person_id=person_id, merged_ids=merged_ids)
    return (await album.people.MergePeople(request)).person


async def faces(album: Album, **fields: object) -> list[str]:
    found = (await album.people.FindFaces(pb.FindFacesRequest(**fields))).faces
    return [one.face.face_id for one in found]


async def test_a_decision_holds_against_machines(album: Album) -> None:
    """A face that was named, refused or marked stays so when its picture is recognized again."""
    left, right = await album.add((LEFT, "Ada"), (RIGHT, "Ben"))
    cy = await album.create("Cy", left)
    ben = (await album.face(right)).person_id
    await refuse(album, ben, right)
    assert await album.shows(left, right) == ["Cy", ""]
    await album.add_again(left, (LEFT, "Ada"), (RIGHT, "Ben"))
    assert await album.shows(left, right) == ["Cy", ""]
    await album.add_again(left)
    assert await album.shows(left) == ["Cy"]
    assert (await album.face(left)).person_id == cy


async def test_nobody_is_twice_in_a_picture(album: Album) -> None:
    """A decision takes the name from a face that a machine gave it to; against another decision it is refused."""
    left, right = await album.add((LEFT, "Ada"), (RIGHT, ""))
    ada = (await album.face(left)).person_id
    await album.name(ada, right)
    assert await album.shows(left, right) == ["", "Ada"]
    for face_ids in ([left], [left, right]):
        with pytest.raises(Exception, match=await album.picture_of(left)):
            await album.name(ada, *face_ids)
        request = pb.NameFacesRequest(person_id=ada, face_ids=face_ids)
        assert await refused(album.people.NameFaces(request)) == ("FAILED_PRECONDITION", "PERSON_TWICE")
    assert await album.shows(left, right) == ["", "Ada"]


async def test_naming_a_refused_face_takes_the_refusal_away(album: Album) -> None:
    """Whoever names it has changed his mind; undoing that brings the refusal back."""
    (face_id,) = await album.add((LEFT, "Ada"))
    ada = (await album.face(face_id)).person_id
    await refuse(album, ada, face_id)
    assert await album.shows(face_id) == [""]
    named = await album.name(ada, face_id)
    await mark(album, pb.FACE_MARK_UNSPECIFIED, face_id)
    assert (await album.face(face_id)).source == library_pb2.ASSIGNMENT_SOURCE_RECOGNIZERS
    await refuse(album, ada, face_id)
    assert await refused(album.people.UndoAction(pb.UndoActionRequest(action_id=named))) == (
        "ABORTED",
        "ACTION_CONFLICT",
    )


async def test_marks_are_states_of_faces(album: Album) -> None:
    """An ignored face and what is no face show nobody, are found by their states, and are free again if taken back."""
    left, right = await album.add((LEFT, "Ada"), (RIGHT, "Ben"))
    await mark(album, pb.FACE_MARK_IGNORED, left)
    await mark(album, pb.FACE_MARK_NOT_A_FACE, right)
    states = [(await album.face(one)).state for one in (left, right)]
    assert states == [library_pb2.FACE_STATE_IGNORED, library_pb2.FACE_STATE_NOT_A_FACE]
    assert await faces(album, state=library_pb2.FACE_STATE_IGNORED) == [left]
    assert await faces(album, state=library_pb2.FACE_STATE_NOT_A_FACE) == [right]
    assert await faces(album, unnamed=True) == []
    await mark(album, pb.FACE_MARK_UNSPECIFIED, left, right)
    assert await album.shows(left, right) == ["Ada", "Ben"]


async def test_faces_are_found_a_page_at_a_time(album: Album) -> None:
    """By person, picture and want of a name, the newest first; what there is not is NOT_FOUND, or finds nothing."""
    pairs = [await album.add((LEFT, "Ada"), (RIGHT, "")) for _ in range(3)]
    adas, nobodys = [one for one, _ in pairs], [one for _, one in pairs]
    ada = (await album.face(adas[0])).person_id
    assert set(await faces(album, person_id=ada)) == set(adas)
    assert set(await faces(album, unnamed=True)) == set(nobodys)
    assert set(await faces(album, picture_id=await album.picture_of(adas[1]))) == set(pairs[1])
    everything = await faces(album)
    assert everything == sorted((one for pair in pairs for one in pair), reverse=True)
    pages, token = list[str](), ""
    while not pages or token:
        response = await album.people.FindFaces(pb.FindFacesRequest(page_size=4, page_token=token))
        pages += [one.face.face_id for one in response.faces]
        token = response.next_page_token
    assert pages == everything
    assert await faces(album, collection="other") == await faces(album, cluster_id="1") == []
    for fields, reason in (({"person_id": "1"}, "PERSON_NOT_FOUND"), ({"picture_id": "1"}, "PICTURE_NOT_FOUND")):
        assert (await refused(album.people.FindFaces(pb.FindFacesRequest(**fields))))[1] == reason


async def test_what_is_no_face_of_the_collection_is_refused(album: Album) -> None:
    """A call about a face that there is not changes nothing, and needs some faces."""
    (face_id,) = await album.add((LEFT, "Ada"))
    ada = (await album.face(face_id)).person_id
    before = await album.facts()
    for face_ids, reason in (([], "INVALID_REQUEST"), ([face_id, ada], "FACE_NOT_FOUND")):
        about = {"face_ids": face_ids, "person_id": ada}
        assert (await refused(album.people.NameFaces(pb.NameFacesRequest(**about))))[1] == reason
        assert (await refused(album.people.RefuseFaces(pb.RefuseFacesRequest(**about))))[1] == reason
        assert (await refused(album.people.MarkFaces(pb.MarkFacesRequest(face_ids=face_ids))))[1] == reason
    assert await album.facts() == before


async def test_a_picture_without_faces_has_none(album: Album) -> None:
    """That there is no face is no face that is found, or may be named."""
    (row,) = await album.add()
    assert (await album.face(row)).verdict.state == v1.VERDICT_STATE_NO_FACE
    assert await faces(album) == await faces(album, unnamed=True) == []
    request = pb.CreatePersonRequest(display_name="A", face_ids=[row])
    assert (await refused(album.people.CreatePerson(request)))[1] == "FACE_NOT_FOUND"


async def test_merged_people_are_one(album: Album) -> None:
    """One gets the faces of the other, whose names become aliases and whose identifier means them, now and later."""
    (adas,) = await album.add((LEFT, "Ada"))
    (bens,) = await album.add((LEFT, "Ben"))
    ada, ben = [(await album.face(one)).person_id for one in (adas, bens)]
    cy = await album.create("Cy", aliases=["C"])
    merged = await merge(album, ada, ben)
    assert (merged.person_id, list(merged.aliases), merged.face_count) == (ada, ["Ben"], 2)
    merged = await merge(album, cy, ada)
    assert (merged.person_id, list(merged.aliases), merged.face_count) == (cy, ["C", "Ada", "Ben"], 2)
    (later,) = await album.add((LEFT, "Ben"))
    assert await album.shows(adas, bens, later) == ["Cy"] * 3
    for known in (ada, ben, cy):
        shown = (await album.people.GetPerson(pb.GetPersonRequest(person_id=known))).person
        assert (shown.person_id, len(shown.identities)) == (cy, 2)
        assert len(await faces(album, person_id=known)) == 3
        query = library_pb2.PictureQuery(people=library_pb2.PeopleFilter(only=[known]))
        response = await album.library.SearchPictures(library_pb2.SearchPicturesRequest(query=query))
        assert len(response.pictures) == 3


async def test_people_who_are_two_are_not_merged(album: Album) -> None:
    """Neither those who were separated, also before others were merged, nor two who were decided in one picture."""
    left, right = await album.add((LEFT, ""), (RIGHT, ""))
    ada, ben, cy = [await album.create(name) for name in ("Ada", "Ben", "Cy")]
    await album.people.SeparatePeople(pb.SeparatePeopleRequest(person_id=ben, other_person_id=ada))
    await merge(album, cy, ben)
    request = pb.MergePeopleRequest(person_id=ada, merged_ids=[cy])
    assert await refused(album.people.MergePeople(request)) == ("FAILED_PRECONDITION", "PEOPLE_SEPARATED")
    await album.name(cy, left)
    di = await album.create("Di", right)
    request = pb.MergePeopleRequest(person_id=cy, merged_ids=[di])
    assert await refused(album.people.MergePeople(request)) == ("FAILED_PRECONDITION", "PERSON_TWICE")
    itself = pb.SeparatePeopleRequest(person_id=ben, other_person_id=cy)
    assert (await refused(album.people.SeparatePeople(itself)))[1] == "INVALID_REQUEST"
    nobody = pb.MergePeopleRequest(person_id=cy)
    assert (await refused(album.people.MergePeople(nobody)))[1] == "INVALID_REQUEST"


async def test_a_face_that_was_refused_one_of_them_keeps_its_decision(album: Album) -> None:
    """Merging who was decided with who was refused leaves the decision, and no refusal against it."""
    (face_id,) = await album.add((LEFT, ""))
    ada, ben = await album.create("Ada"), await album.create("Ben", face_id)
    await refuse(album, ada, face_id)
    before = await album.facts()
    merged = await album.people.MergePeople(pb.MergePeopleRequest(person_id=ada, merged_ids=[ben]))
    assert await album.shows(face_id) == ["Ada"]
    assert (await album.facts())["face_refusal"] == []
    await album.undo(merged.action_id)
    assert await album.facts() == before


async def test_two_callers_name_the_same_face(album: Album) -> None:
    """The last one decides, both are done, and undoing the last leaves the other's decision."""
    (face_id,) = await album.add((LEFT, ""))
    names = [f"P{number}" for number in range(4)]
    people = [await album.create(name) for name in names]
    actions = await asyncio.gather(*(album.name(one, face_id) for one in people))
    shown = await album.face(face_id)
    assert shown.display_name in names
    await album.undo(actions[people.index(shown.person_id)])
    assert (await album.face(face_id)).display_name in {*names} - {shown.display_name}


async def test_two_callers_give_one_name_to_two_faces_of_a_picture(album: Album) -> None:
    """One of them is refused: nobody is twice in a picture."""
    left, right = await album.add((LEFT, ""), (RIGHT, ""))
    cy = await album.create("Cy")
    outcomes = await asyncio.gather(album.name(cy, left), album.name(cy, right), return_exceptions=True)
    assert sum(isinstance(one, BaseException) for one in outcomes) == 1
    assert sorted(await album.shows(left, right)) == ["", "Cy"]


async def test_people_are_merged_while_pictures_come(album: Album) -> None:
    """Pictures that are recorded, faces that are named and people who are merged at once all end well."""
    (first,) = await album.add((LEFT, "Ada"))
    ada, cy = (await album.face(first)).person_id, await album.create("Cy")
    some = [(await album.add((LEFT, "")))[0] for _ in range(3)]
    coming = [album.add((LEFT, "Ada"), (RIGHT, f"B{number}")) for number in range(6)]
    added, _, *_ = await asyncio.gather(
        asyncio.gather(*coming), merge(album, cy, ada), *(album.name(ada, one) for one in some)
    )
    assert await album.shows(first, *some, *(faces[0] for faces in added)) == ["Cy"] * 10
