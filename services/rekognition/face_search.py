"""Searches every face of a picture in a collection.

SearchFacesByImage, like SearchUsersByImage, looks at the largest face of what it is given. So faces are
detected first, and each is cut out and searched by itself; a picture with a single face is searched as it is.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import boxes, results
from services.rekognition.budget.prices import Api
from services.rekognition.collection_name import collection_of
from services.rekognition.crops import Crop, crop
from services.rekognition.question import Question
from services.runtime import status
from services.runtime.errors import DomainError, InvalidImage, InvalidRequest

_MATCHES = 10
"""Asked of Rekognition for a face: several of them may be one person's."""
_SAME_FACE = 0.3


async def search_faces(question: Question) -> pb.RecognizerResult:
    """All faces, each with the people of the collection whom it resembles.

    A face whose search fails is left without candidates: the result then has FACE_SEARCH among its
    feature_errors, and all that was found beside. Raises DomainErrors where nothing was found out.
    """
    collection = collection_of(question.options.collection, question.settings)
    if not collection:
        raise InvalidRequest(
            "FACE_SEARCH needs a collection: name one, or let an operator set MARQUEE_REKOGNITION_COLLECTION.",
            field="collection",
        )
    attributes = question.settings.rekognition_face_attributes if _wants_faces(question) else "DEFAULT"
    answer: Any = await question.detect_faces(attributes)
    faces = sorted(results.detected_faces(answer), key=lambda face: -boxes.area(face.box))
    most = question.settings.rekognition_search_faces
    failures = await _search(question, collection, faces, faces[:most])
    result = _result(faces, most, failures)
    result.warnings.extend(await _name(question, collection, result.faces))
    return result


def _wants_faces(question: Question) -> bool:
    return pb.FEATURE_FACES in question.options.features


async def _search(
    question: Question, collection: str, faces: Sequence[pb.Face], asked: Sequence[pb.Face]
) -> list[DomainError]:
    """Gives the asked ones of the faces their candidates; returns what failed. Raises where all failed."""
    crops = await _crops(question, faces, asked) if len(faces) > 1 else [None] * len(asked)
    parallel = asyncio.Semaphore(question.settings.rekognition_search_parallel)

    async def search(face: pb.Face, cut: Crop | None) -> None:
        async with parallel:
            face.candidates.extend(await _candidates(question, collection, face, cut))

    searches = (search(face, cut) for face, cut in zip(asked, crops, strict=True))
    ended = await asyncio.gather(*searches, return_exceptions=True)
    failures = [one for one in ended if isinstance(one, DomainError)]
    unforeseen = [one for one in ended if isinstance(one, BaseException) and not isinstance(one, DomainError)]
    if unforeseen or (failures and len(failures) == len(asked)):
        raise [*unforeseen, *failures][0]
    return failures


async def _crops(question: Question, faces: Sequence[pb.Face], asked: Sequence[pb.Face]) -> list[Crop]:
    """One for each asked face, from the picture itself: what was shrunk for Rekognition has less to tell."""
    places = [face.box for face in faces]

    def cut() -> list[Crop]:
        pixels = question.source.image.upright()
        return [crop(pixels, places, number) for number in range(len(asked))]

    return await question.source.work(cut)


async def _candidates(question: Question, collection: str, face: pb.Face, cut: Crop | None) -> list[pb.Candidate]:
    users = question.settings.rekognition_search == "users"
    api, key, how = _search_users(question) if users else _search_faces(question)
    try:
        answer: Any = await (
            question.ask(api, key, CollectionId=collection, **how)
            if cut is None
            else question.ask_about(cut.content, api, key, CollectionId=collection, **how)
        )
    except InvalidImage:  # so Rekognition says that it finds no face in what it was given
        return []
    if not _is_the_face(answer, face, cut):
        return []
    return results.users(answer) if users else results.candidates(answer)


def _search_faces(question: Question) -> tuple[Api, str, dict[str, Any]]:
    how = {"MaxFaces": _MATCHES, "FaceMatchThreshold": 100 * _least(question)}
    return "SearchFacesByImage", "FaceMatches", how


def _search_users(question: Question) -> tuple[Api, str, dict[str, Any]]:
    how = {"MaxUsers": _MATCHES, "UserMatchThreshold": 100 * _least(question)}
    return "SearchUsersByImage", "UserMatches", how


def _least(question: Question) -> float:
    return max(question.settings.rekognition_match_score, question.options.min_score)


def _is_the_face(answer: Any, face: pb.Face, cut: Crop | None) -> bool:
    """Whether the face that was searched is the one that was cut out."""
    told = answer.get("SearchedFace", {}).get("FaceDetail", {}).get("BoundingBox", {})
    searched = results.box(answer.get("SearchedFaceBoundingBox", told))
    return cut is None or boxes.overlap(cut.place(searched), face.box) >= _SAME_FACE


async def _name(question: Question, collection: str, faces: Iterable[pb.Face]) -> list[str]:
    """Gives the candidates the names they were enrolled with; returns what a person should know about that."""
    candidates = [candidate for face in faces for candidate in face.candidates]
    if question.people is None or not candidates:
        return []
    try:
        ids = [candidate.person_id for candidate in candidates]
        names = await asyncio.to_thread(question.people.names, collection, ids)
    except DomainError as exc:
        return [f"people are shown by their person_id: {exc.message}"]
    for candidate in candidates:
        candidate.display_name = names.get(candidate.person_id, candidate.display_name)
    return []


def _result(faces: Sequence[pb.Face], most: int, failures: Sequence[DomainError]) -> pb.RecognizerResult:
    result = pb.RecognizerResult(faces=faces)
    if len(faces) > most:
        result.warnings.append(f"searched the {most} largest of {len(faces)} faces")
    if failures:
        result.warnings.append(f"face search failed for {len(failures)} of {min(most, len(faces))} faces")
        error = status.from_exception(failures[0])
        result.feature_errors.add(feature=pb.FEATURE_FACE_SEARCH, status=error)
    return result
