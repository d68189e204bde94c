"""Search for every face of a picture in a collection.

SearchFacesByImage, like SearchUsersByImage, looks only at the largest face of a picture. So faces are
detected first, and each is cut out and searched by itself; a picture with a single face is searched as it is.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import results
from services.rekognition.budget.prices import Api
from services.rekognition.crops import Crop, crop
from services.rekognition.request import Recognition
from services.runtime import boxes, status
from services.runtime.errors import CollectionNotFound, DomainError, InvalidImage, InvalidRequest

logger = structlog.get_logger()
_MAX_MATCHES = 10
"""Matches of a face that Rekognition returns: several of them may be one person's."""
_EXISTING_SECONDS = 60
"""How long a collection is taken to exist without another look."""


async def search_faces(recognition: Recognition) -> pb.RecognizerResult:
    """Return all faces, each with the people of the collection whom it resembles.

    A face whose search fails is left without candidates: the result then has FACE_SEARCH among its
    feature_errors, beside all other faces' candidates. Raises DomainErrors if every search fails.
    """
    collection = _collection(recognition)
    recognition.check_budget("DetectFaces", "SearchFacesByImage")
    await _check(recognition, collection)
    response: Any = await recognition.detect_faces(_attributes(recognition))
    faces = sorted(results.detected_faces(response), key=lambda face: -boxes.area(face.box))
    limit = recognition.settings.rekognition_search_faces
    failures = await _search(recognition, collection, faces, faces[:limit])
    result = _result(faces, limit, failures)
    result.warnings.extend(await _add_names(recognition, collection, result.faces))
    return result


def _collection(recognition: Recognition) -> str:
    collection = recognition.settings.collection_name(recognition.options.collection)
    if not collection:
        raise InvalidRequest(
            "FACE_SEARCH needs a collection: name one, or have an operator set MARQUEE_REKOGNITION_COLLECTION.",
            field="collection",
        )
    return collection


async def _check(recognition: Recognition, collection: str) -> None:
    """Raise CollectionNotFound, or InvalidRequest for its name, before DetectFaces is paid for."""
    now = time.monotonic()
    if recognition.collections.get(collection, 0) > now:
        return
    try:
        await recognition.ask("DescribeCollection", "FaceCount", CollectionId=collection)
    except (CollectionNotFound, InvalidRequest):
        raise
    except DomainError:  # it is a precaution: what matters is whether the search itself succeeds
        logger.debug("collection not checked", collection=collection)
    recognition.collections[collection] = now + _EXISTING_SECONDS


def _attributes(recognition: Recognition) -> str:
    """Return what FACES wants to know, if it shares the call."""
    shared = pb.FEATURE_FACES in recognition.options.features
    return recognition.settings.rekognition_face_attributes if shared else "DEFAULT"


async def _search(
    recognition: Recognition, collection: str, faces: Sequence[pb.Face], largest: Sequence[pb.Face]
) -> list[DomainError]:
    """Add candidates to the largest of the faces; return what failed. Raises if all failed."""
    crops = await _crops(recognition, faces, largest) if len(faces) > 1 else [None] * len(largest)
    parallel = asyncio.Semaphore(recognition.settings.rekognition_search_parallel)

    async def search(face: pb.Face, cutout: Crop | None) -> None:
        async with parallel:
            face.candidates.extend(await _candidates(recognition, collection, face, cutout))

    searches = (search(face, cutout) for face, cutout in zip(largest, crops, strict=True))
    outcomes = [one for one in await asyncio.gather(*searches, return_exceptions=True) if one is not None]
    failures = [one for one in outcomes if isinstance(one, DomainError)]
    bugs = [one for one in outcomes if not isinstance(one, DomainError)]
    if bugs or (failures and len(failures) == len(largest)):
        raise [*bugs, *failures][0]
    return failures


async def _crops(recognition: Recognition, faces: Sequence[pb.Face], largest: Sequence[pb.Face]) -> list[Crop]:
    """Cut the largest faces out of the original picture, which has more detail than a shrunk copy."""
    places = [face.box for face in faces]

    def cut() -> list[Crop]:
        pixels = recognition.picture.image.upright()
        return [crop(pixels, places, number) for number in range(len(largest))]

    return await recognition.picture.work(cut)


async def _candidates(
    recognition: Recognition, collection: str, face: pb.Face, cutout: Crop | None
) -> list[pb.Candidate]:
    users = recognition.settings.rekognition_search == "users"
    api, key, limits = _search_users(recognition) if users else _search_faces(recognition)
    # Without a crop the whole picture is searched, by reference if possible.
    source: Any = {"picture": recognition.picture} if cutout is None else {"Image": {"Bytes": cutout.content}}
    try:
        response: Any = await recognition.ask(api, key, CollectionId=collection, **limits, **source)
    except InvalidImage:  # this is how Rekognition says that it finds no face in the picture
        return []
    except CollectionNotFound:  # it was deleted since the last look
        recognition.collections.pop(collection, None)
        raise
    if not _is_the_face(response, face, cutout):
        return []
    return results.users(response) if users else results.candidates(response)


def _search_faces(recognition: Recognition) -> tuple[Api, str, dict[str, Any]]:
    limits = {"MaxFaces": _MAX_MATCHES, "FaceMatchThreshold": 100 * _min_score(recognition)}
    return "SearchFacesByImage", "FaceMatches", limits


def _search_users(recognition: Recognition) -> tuple[Api, str, dict[str, Any]]:
    limits = {"MaxUsers": _MAX_MATCHES, "UserMatchThreshold": 100 * _min_score(recognition)}
    return "SearchUsersByImage", "UserMatches", limits


def _min_score(recognition: Recognition) -> float:
    return max(recognition.settings.rekognition_match_score, recognition.options.min_score)


def _is_the_face(response: Any, face: pb.Face, cutout: Crop | None) -> bool:
    """Return whether Rekognition searched the face that was cut out."""
    box = response.get("SearchedFace", {}).get("FaceDetail", {}).get("BoundingBox", {})
    place = results.box(response.get("SearchedFaceBoundingBox", box))
    return cutout is None or boxes.iou(cutout.place(place), face.box) >= boxes.MIN_OVERLAP


async def _add_names(recognition: Recognition, collection: str, faces: Iterable[pb.Face]) -> list[str]:
    """Give the candidates who were enrolled here the names they were enrolled with; return warnings."""
    candidates = [candidate for face in faces for candidate in face.candidates]
    if recognition.people is None or not candidates:
        return []
    try:
        ids = [candidate.person_id for candidate in candidates]
        seconds = recognition.deadline - time.monotonic()
        names = await asyncio.to_thread(recognition.people.names, collection, ids, seconds)
    except DomainError as exc:
        return [f"people are shown by their person_id: {exc.message}"]
    for candidate in candidates:
        candidate.display_name = names.get(candidate.person_id, candidate.display_name)
        candidate.enrolled = candidate.person_id in names  # other programs' IDs mean nothing elsewhere
    return []


def _result(faces: Sequence[pb.Face], limit: int, failures: Sequence[DomainError]) -> pb.RecognizerResult:
    result = pb.RecognizerResult(faces=faces)
    if len(faces) > limit:
        result.warnings.append(f"searched the {limit} largest of {len(faces)} faces")
    if failures:
        result.warnings.append(f"face search failed for {len(failures)} of {min(limit, len(faces))} faces")
        error = status.from_exception(failures[0])
        result.feature_errors.add(feature=pb.FEATURE_FACE_SEARCH, status=error)
    return result
