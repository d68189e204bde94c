"""Enrolling a person from the page: the form, what became of each picture at each recognizer, and taking it back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.runtime import status
from services.runtime.bounds.limit import MAX_DISPLAY_NAME
from services.runtime.doors.scopes import Scope
from services.runtime.errors import DomainError, Forbidden, InvalidRequest, ScopeMissing, Unauthenticated
from services.runtime.limits import TABLE
from services.web import errors
from services.web.access import visit
from services.web.gateway import ENROLL, REMOVE_FACES, Gateway
from services.web.pages import words
from services.web.pages.errors import message
from services.web.pages.render import Renderer
from services.web.uploads import read_form, read_pictures

_SECONDS = 60.0
_MOST_PICTURES = TABLE["EnrollFacesRequest"]["images"].entries or 1
_MOST_KEYS = TABLE["RemoveFacesRequest"]["faces"].entries or 1
_MOST_FIELDS = 1000
"""Of a form: to take back, each picture has two fields for each recognizer."""
_VALID = frozenset((recognizer_pb2.OUTCOME_OK, recognizer_pb2.OUTCOME_PARTIAL))
_SIMILAR, _TAKEN = "FACE_ALREADY_ENROLLED", "NAME_TAKEN"
_ADVICE = {
    _SIMILAR: "The face is enrolled as {display_name}.",
    _TAKEN: "The face does not look like those of {display_name}, whom this recognizer knows.",
}
"""Instead of the recognizer's own message, which names fields of the contract."""


class EnrollPage:
    """The page, and what its form and the window on the first page send."""

    def __init__(self, gateway: Gateway, renderer: Renderer) -> None:
        self._gateway = gateway
        self._renderer = renderer

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return (
            Route("/enroll", self.show),
            Route("/enroll", self.enroll, methods=["POST"]),
            Route("/enroll/undo", self.undo, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Answer GET /enroll, which may suggest a `name`."""
        if not visit.current().may(Scope.ENROLL):
            raise ScopeMissing("You may not enroll people.", scope=Scope.ENROLL)
        return self._answer(request, name=request.query_params.get("name", "")[:MAX_DISPLAY_NAME])

    async def enroll(self, request: Request) -> Response:
        """Answer POST /enroll: pictures `image`, or `s3`, and `name`, `collection`, `person_id`, `allow_…`."""
        async with read_form(request, _MOST_PICTURES) as form:
            known = _known(form)
            try:
                enrollment, files = await _enrollment(form)
                response = await self._gateway.call(ENROLL, enrollment, _SECONDS)
            except (Forbidden, Unauthenticated):
                raise
            except (DomainError, status.StatusError) as exc:
                return self._answer(request, errors.http_status(exc), failure=_failure(exc), **known)
        return self._answer(request, done=Enrolled(enrollment, response, files), **known)

    async def undo(self, request: Request) -> Response:
        """Answer POST /enroll/undo: `recognizer` and `face_id` of each face, in pairs."""
        async with read_form(request, max_fields=_MOST_FIELDS) as form:
            known = _known(form)
            keys = _keys(form)
        undone = Undone()
        for start in range(0, len(keys), _MOST_KEYS):
            removal = pb.RemoveFacesRequest(faces=keys[start : start + _MOST_KEYS], collection=known["collection"])
            undone.add(await self._gateway.call(REMOVE_FACES, removal, _SECONDS))
        return self._answer(request, undone=undone, **known)

    def _answer(self, request: Request, code: int = 200, **values: Any) -> Response:
        template = "enroll_result.html" if "hx-request" in request.headers else "enroll_page.html"
        empty = {"name": "", "collection": "", "failure": None, "done": None, "undone": None}
        return self._renderer.page(template, code, **empty | values)


@dataclass(frozen=True)
class Picture:
    """What became of a picture at a recognizer."""

    number: int
    """From 1."""
    file: str
    tone: str
    title: str
    advice: str = ""
    quality: str = ""


class Learner:
    """A recognizer that was asked to learn a face."""

    def __init__(self, result: pb.EnrollmentResult, files: Sequence[str]) -> None:
        self.name = words.clean(result.recognizer)
        self.pictures = [_picture(face, number, files) for number, face in enumerate(result.faces, 1)]
        self.failure = None if result.outcome in _VALID else words.failure(result.status, result.outcome)
        self.detail = result.status.message if self.failure else ""
        self.remarks = [*result.warnings, *(remark for face in result.faces for remark in face.warnings)]
        states = [face.state for face in result.faces]
        self.learned = states.count(pb.ENROLLMENT_STATE_ENROLLED)
        self.refused = states.count(pb.ENROLLMENT_STATE_REFUSED)
        self.knows = self.failure is None and self.refused < len(states)

    @property
    def tone(self) -> str:
        """How it went: "good", "warning" or "bad"."""
        return "bad" if not self.knows else "warning" if self.refused else "good"

    @property
    def title(self) -> str:
        """How it went, in a few words."""
        if self.failure:
            return self.failure.title
        if not self.knows:
            return "Not enrolled"
        total = len(self.pictures)
        if self.refused:
            return f"{total - self.refused} of {total} enrolled"
        return "Enrolled" if self.learned else "Was enrolled already"


class Enrolled:
    """What became of an enrollment at all recognizers."""

    def __init__(self, request: pb.EnrollFacesRequest, response: pb.EnrollFacesResponse, files: Sequence[str]) -> None:
        asked = [one for one in response.results if one.outcome != recognizer_pb2.OUTCOME_SKIPPED]
        self.name = words.clean(request.display_name)
        self.person_id = response.person_id
        self.learners = [Learner(one, files) for one in asked]
        self.skipped = words.listed([words.clean(one.recognizer) for one in response.results if one not in asked])
        self.faces = [
            (one.recognizer, face.face_id)
            for one in asked
            for face in one.faces
            if face.state == pb.ENROLLMENT_STATE_ENROLLED
        ]
        reasons = {status.reason_of(face.status) for one in asked for face in one.faces}
        self.offers_similar = _SIMILAR in reasons
        self.offers_different = _TAKEN in reasons

    @property
    def tone(self) -> str:
        """How it went: "good", "warning" or "error"."""
        knowing = [one for one in self.learners if one.knows]
        if not knowing:
            return "error"
        return "good" if all(one.tone == "good" for one in self.learners) else "warning"

    @property
    def headline(self) -> str:
        """How it went, in a sentence."""
        knowing = [one.name for one in self.learners if one.knows]
        others = [one.name for one in self.learners if not one.knows]
        if not knowing:
            return f"{self.name} is not enrolled"
        if others:
            return f"{self.name} is enrolled at {words.listed(knowing)}, not at {words.listed(others)}"
        return f"{self.name} is enrolled"


@dataclass
class Undone:
    """What became of taking faces back."""

    removed: dict[str, int] = field(default_factory=dict)
    failures: dict[str, words.Words] = field(default_factory=dict)

    def add(self, response: pb.RemoveFacesResponse) -> None:
        """Count in the results of a call."""
        for one in response.results:
            name = words.clean(one.recognizer)
            self.removed[name] = self.removed.get(name, 0) + sum(face.removed_faces for face in one.faces)
            failed = [words.failure(face.status) for face in one.faces if face.status.code]
            if one.outcome not in _VALID:
                failed.append(words.failure(one.status, one.outcome))
            if failed:
                self.failures[name] = failed[0]

    @property
    def headline(self) -> str:
        """How it went, in a sentence."""
        number = sum(self.removed.values())
        return f"Taken back: {words.count(number, 'face')} removed" if number else "There was nothing to take back"


async def _enrollment(form: FormData) -> tuple[pb.EnrollFacesRequest, list[str]]:
    """Return the request that the form makes, and its files' names. Raises InvalidRequest and those of uploads."""
    name = _text(form, "name")
    if not name:
        raise InvalidRequest("Say whom the picture shows: give a name.", field="display_name")
    pictures = await read_pictures(form)
    request = pb.EnrollFacesRequest(
        display_name=name,
        person_id=_text(form, "person_id"),
        collection=_text(form, "collection"),
        allow_similar="allow_similar" in form,
        allow_different="allow_different" in form,
        images=[image for image, _ in pictures],
    )
    return request, [file for _, file in pictures]


def _keys(form: FormData) -> list[pb.FaceKey]:
    """Return the faces that the form names. Raises InvalidRequest."""
    recognizers, face_ids = form.getlist("recognizer"), form.getlist("face_id")
    if not face_ids or len(recognizers) != len(face_ids):
        raise InvalidRequest("Say what to take back: each face by its recognizer and its face_id.")
    pairs = zip(recognizers, face_ids, strict=True)
    return [pb.FaceKey(face=pb.FaceId(recognizer=str(name), face_id=str(face_id))) for name, face_id in pairs]


def _known(form: FormData) -> dict[str, Any]:
    """Return what the form shows again."""
    return {key: _text(form, key) for key in ("name", "collection")}


def _text(form: FormData, key: str) -> str:
    value = form.get(key)
    return value.strip() if isinstance(value, str) else ""


def _failure(error: Exception) -> tuple[words.Words, str]:
    """Return the words for a call that failed, and what the error itself says."""
    return words.failure(errors.status_of(error)), message(error)


def _picture(face: pb.EnrolledFace, number: int, files: Sequence[str]) -> Picture:
    file = words.clean(files[number - 1]) if number <= len(files) else ""
    quality = _quality(face.quality) if face.HasField("quality") else ""
    match face.state:
        case pb.ENROLLMENT_STATE_ENROLLED:
            return Picture(number, file, "good", "Enrolled", quality=quality)
        case pb.ENROLLMENT_STATE_ALREADY_ENROLLED:
            return Picture(number, file, "good", "Was enrolled already", quality=quality)
    advice = _ADVICE.get(status.reason_of(face.status))
    if advice:
        told = status.metadata_of(face.status)
        advice = advice.format(display_name=told.get("display_name") or "somebody else")
    return Picture(number, file, "bad", words.failure(face.status).title, advice or face.status.message, quality)


def _quality(quality: recognizer_pb2.FaceQuality) -> str:
    """Return the quality of a face in words: "sharpness 80 %, brightness 50 %, turned 12° aside and 3° up"."""
    parts = [
        f"{name} {words.percent(getattr(quality, name))}"
        for name in ("sharpness", "brightness")
        if quality.HasField(name)
    ]
    if quality.HasField("pose"):
        parts.append(f"turned {abs(quality.pose.yaw):.0f}° aside and {abs(quality.pose.pitch):.0f}° up or down")
    return ", ".join(parts)
