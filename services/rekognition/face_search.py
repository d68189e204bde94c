"""Searches every face of a picture in a collection.

SearchFacesByImage looks at the largest face of what it is given. So faces are detected first, and
each is cut out and searched by itself; a picture with a single face is searched as it is.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import answers, boxes
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
    collection = question.options.collection or question.settings.rekognition_collection
    if not collection:
        raise InvalidRequest(
            "FACE_SEARCH needs a collection: name one, or let an operator set MARQUEE_REKOGNITION_COLLECTION.",
            field="collection",
        )
    attributes = question.settings.rekognition_face_attributes if _wants_faces(question) else "DEFAULT"
    answer: Any = await question.detect_faces(attributes)
    faces = sorted(answers.detected_faces(answer), key=lambda face: -boxes.area(face.box))
    most = question.settings.rekognition_search_faces
    failures = await _search(question, collection, faces, faces[:most])
    return _result(faces, most, failures)


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
    least = max(question.settings.rekognition_match_score, question.options.min_score)
    how = {"CollectionId": collection, "MaxFaces": _MATCHES, "FaceMatchThreshold": 100 * least}
    try:
        answer: Any = await (
            question.ask("SearchFacesByImage", "FaceMatches", **how)
            if cut is None
            else question.ask_about(cut.content, "SearchFacesByImage", "FaceMatches", **how)
        )
    except InvalidImage:  # so Rekognition says that it finds no face in what it was given
        return []
    return answers.candidates(answer) if _is_the_face(answer, face, cut) else []


def _is_the_face(answer: Any, face: pb.Face, cut: Crop | None) -> bool:
    """Whether the face that was searched is the one that was cut out."""
    searched = answers.box(answer.get("SearchedFaceBoundingBox", {}))
    return cut is None or boxes.overlap(cut.place(searched), face.box) >= _SAME_FACE


def _result(faces: Sequence[pb.Face], most: int, failures: Sequence[DomainError]) -> pb.RecognizerResult:
    result = pb.RecognizerResult(faces=faces)
    if len(faces) > most:
        result.warnings.append(f"searched the {most} largest of {len(faces)} faces")
    if failures:
        result.warnings.append(f"face search failed for {len(failures)} of {min(most, len(faces))} faces")
        error = status.from_exception(failures[0])
        result.feature_errors.add(feature=pb.FEATURE_FACE_SEARCH, status=error)
    return result
