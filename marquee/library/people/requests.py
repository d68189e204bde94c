"""Requests of the contract about people, built from the arguments of the client's methods."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypedDict, cast

from marquee.errors import InvalidRequest
from marquee.library.enums import FaceState
from marquee.library.people.enums import DecisionForm, FaceMark, SuggestionAnswer
from marquee.library.requests import PictureOptions, PictureQuery, build_change, build_query, new_request_id
from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.requests import member_of, names_of
from marquee.sources import Source, image_of


class PersonOptions(PictureOptions, total=False):
    """Options of methods that change a person whom the caller has seen."""

    etag: str
    """Etag of the person as they are to be changed: EtagStale if they have changed since. Empty: as they are."""


class PersonUpdate(PersonOptions, total=False):
    """What to change about a person; what is left out stays."""

    display_name: str
    aliases: Sequence[str]
    """All of them, in place of those before."""
    hidden: bool
    """Whether to leave them out where people are listed and asked about."""
    cover_face_id: str
    """One of their faces, or empty to leave the choice to the library."""


class AnswerOptions(PictureOptions, total=False):
    """Options of `answer`: who a cluster is."""

    person_id: str
    """If they are known."""
    display_name: str
    """If they are new."""


class FaceFilter(TypedDict, total=False):
    """Which faces to find: those that everything fits that is set."""

    person_id: str
    cluster_id: str
    picture_id: str
    state: FaceState | str
    unnamed: bool
    """Only those that show nobody who is known."""


class SimilarOptions(PictureQuery, total=False):
    """Options of `similar`: a query, in whose pictures the faces have to be, and these."""

    collection: str
    """Empty: the operator's default."""
    limit: int
    """Faces at most, 1 to 1000. Default 20."""
    max_distance: float | None
    """Greatest distance, by the model's metric. None: any."""


class RecognizerChoice(PictureOptions, total=False):
    """Options of `reconcile` and `adopt`."""

    recognizers: Sequence[str]
    """Names. Empty: all that enroll."""


class EnrollmentChoice(RecognizerChoice, total=False):
    """Options of `enroll`."""

    allow_similar: bool
    """Whether to enroll faces that match another person's, too, such as a twin's."""


class DecisionOptions(TypedDict, total=False):
    """Options of `export_decisions`."""

    collection: str
    """Empty: the operator's default."""
    least_faces: int
    """Only people with so many decided faces. Default 1."""


class PersonErasure(PictureOptions, total=False):
    """Options of `erase`."""

    erase_pictures: bool
    """Whether to erase the pictures, too, on which they are the only one who is known."""
    erase_objects: bool
    """Whether to delete those pictures' objects in S3, with all versions."""


def build_update(person_id: str, update: PersonUpdate) -> pb.UpdatePersonRequest:
    """Build the request to change a person."""
    fields: dict[str, Any] = {
        name: value for name, value in update.items() if name in {"display_name", "hidden", "cover_face_id", "etag"}
    }
    if "aliases" in update:
        fields["aliases"] = pb.Aliases(names=names_of(update["aliases"]))
    return build_change(pb.UpdatePersonRequest, update, person_id=person_id, **fields)


def build_face_search(faces: FaceFilter, page_size: int, collection: str) -> pb.FindFacesRequest:
    """Build the request for the first page of faces. Raises InvalidRequest."""
    fields: dict[str, Any] = {**faces, "state": number_of(FaceState, faces.get("state", ""))}
    return pb.FindFacesRequest(collection=collection, page_size=page_size, **fields)


def build_mark(face_ids: Sequence[str], mark: FaceMark | str, options: PictureOptions) -> pb.MarkFacesRequest:
    """Build the request to mark faces. Raises InvalidRequest."""
    return build_change(pb.MarkFacesRequest, options, face_ids=names_of(face_ids), mark=number_of(FaceMark, mark))


def build_answer(
    suggestion_id: str, answer: SuggestionAnswer | str, options: AnswerOptions
) -> pb.AnswerSuggestionRequest:
    """Build the request to answer a question. Raises InvalidRequest."""
    return build_change(
        pb.AnswerSuggestionRequest,
        options,
        suggestion_id=suggestion_id,
        answer=number_of(SuggestionAnswer, answer),
        person_id=options.get("person_id", ""),
        display_name=options.get("display_name", ""),
    )


def build_similar(
    face_id: str, person_id: str, source: Source | None, options: SimilarOptions
) -> pb.FindSimilarFacesRequest:
    """Build the request for similar faces. Raises InvalidRequest, InvalidImage, ImageTooLarge, OSError."""
    if (bool(face_id) + bool(person_id) + (source is not None)) != 1:
        raise InvalidRequest(
            "Give exactly one of a face, a person and a picture.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": "subject"},
        )
    subject: dict[str, Any] = {"face_id": face_id} if face_id else {"person_id": person_id}
    if source is not None:
        subject = {"image": image_of(source)}
    own = {"collection", "limit", "max_distance"}
    query = cast("PictureQuery", {name: value for name, value in options.items() if name not in own})
    return pb.FindSimilarFacesRequest(
        collection=options.get("collection", ""),
        query=build_query(query) if query else None,
        limit=options.get("limit", 0),
        max_distance=options.get("max_distance"),
        **subject,
    )


def build_decision_export(form: DecisionForm | str, options: DecisionOptions) -> pb.ExportDecisionsRequest:
    """Build the request to export decisions. Raises InvalidRequest."""
    return pb.ExportDecisionsRequest(request_id=new_request_id(), form=number_of(DecisionForm, form), **options)


def number_of(kind: type[StrEnum], name: str) -> Any:
    """Return the contract's number for a name, in any case; empty: UNSPECIFIED. Raises InvalidRequest."""
    enum = getattr(pb, kind.__name__, None) or getattr(library_pb2, kind.__name__)
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()
    is_given = name and name.upper() != "UNSPECIFIED"
    return enum.Value(f"{prefix}_{member_of(kind, name) if is_given else 'UNSPECIFIED'}")
