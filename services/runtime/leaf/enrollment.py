"""EnrollmentService around an enroller."""

import time
from collections.abc import Callable, Sequence

from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2
from services.runtime import requests, status
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enroller, Enrollment, FaceRemoval, Page
from services.runtime.server.calls import Context
from services.runtime.server.deadline import seconds_left, within


class EnrollmentLeaf(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """Servicer of an enroller: validates requests, and fills in what all results have in common."""

    def __init__(
        self,
        name: str,
        enroller: Enroller,
        image: Callable[[recognizer_pb2.Image], Image],
        s3_allowed: Sequence[str],
    ) -> None:
        self._name = name
        self._enroller = enroller
        self._image = image
        self._s3_allowed = s3_allowed

    async def EnrollFaces(  # noqa: N802 - the contract's name
        self, request: pb.EnrollFacesRequest, context: Context
    ) -> pb.EnrollFacesResponse:
        """Return this recognizer's result, PARTIAL if any picture was refused."""
        request_id = _bind(request)
        requests.check_enrollment(request, self._s3_allowed)
        requests.check_names(request.recognizers, (self._name,))
        enrollment = Enrollment(
            person_id=requests.person_id_of(request),
            is_derived=not request.person_id,
            display_name=request.display_name,
            images=[self._image(image) for image in request.images],
            collection=request.collection,
            allow_similar=request.allow_similar,
            allow_different=request.allow_different,
        )
        async with within(time.monotonic() + seconds_left(context), self._name):
            result = await self._enroller.enroll(enrollment)
        refused = [face.state == pb.ENROLLMENT_STATE_REFUSED for face in result.faces]
        if not (refused and all(refused)):
            _warn_of_name(result, enrollment)
        _finish(result, self._name, partial=any(refused))
        return pb.EnrollFacesResponse(request_id=request_id, person_id=enrollment.person_id, results=[result])

    async def RemoveFaces(  # noqa: N802 - the contract's name
        self, request: pb.RemoveFacesRequest, context: Context
    ) -> pb.RemoveFacesResponse:
        """Return this recognizer's result, PARTIAL if any face could not be removed."""
        request_id = _bind(request)
        requests.check_face_removal(request)
        requests.check_names(request.recognizers, (self._name,))
        owners = [key.face.recognizer for key in request.faces if key.face.recognizer]
        requests.check_names(owners, (self._name,), "faces.face.recognizer")
        async with within(time.monotonic() + seconds_left(context), self._name):
            result = await self._enroller.remove_faces(
                FaceRemoval(request.faces, request.person_id, request.collection)
            )
        _finish(result, self._name, partial=any(face.status.code for face in result.faces))
        return pb.RemoveFacesResponse(request_id=request_id, results=[result])

    async def RemovePerson(  # noqa: N802 - the contract's name
        self, request: pb.RemovePersonRequest, context: Context
    ) -> pb.RemovePersonResponse:
        """Return this recognizer's result, PARTIAL if it has warnings."""
        request_id = _bind(request)
        requests.check_removal(request)
        requests.check_names(request.recognizers, (self._name,))
        async with within(time.monotonic() + seconds_left(context), self._name):
            result = await self._enroller.remove(request.person_id, request.collection)
        _finish(result, self._name, partial=bool(result.warnings))
        return pb.RemovePersonResponse(request_id=request_id, results=[result])

    async def ListPeople(  # noqa: N802 - the contract's name
        self, request: pb.ListPeopleRequest, context: Context
    ) -> pb.ListPeopleResponse:
        """Return a page of the people whom this recognizer knows."""
        requests.check_listing(request)
        requests.check_names(request.recognizers, (self._name,))
        async with within(time.monotonic() + seconds_left(context), self._name):
            people, token = await self._enroller.people(
                Page(requests.page_size_of(request), request.page_token, request.collection)
            )
        result = pb.PeopleResult(people=people)
        _finish(result, self._name, partial=False)
        return pb.ListPeopleResponse(results=[result], next_page_token=token)

    async def ListFaces(  # noqa: N802 - the contract's name
        self, request: pb.ListFacesRequest, context: Context
    ) -> pb.ListFacesResponse:
        """Return a page of the person's faces, and the person unless unknown."""
        requests.check_listing(request)
        requests.check_names(request.recognizers, (self._name,))
        async with within(time.monotonic() + seconds_left(context), self._name):
            result, token = await self._enroller.faces(
                request.person_id, Page(requests.page_size_of(request), request.page_token, request.collection)
            )
        for face in result.faces:  # no gateway passes on what has control characters
            if status.CONTROL_IN_NAME.search(f"{face.s3_object.key}{face.s3_object.version_id}"):
                face.ClearField("s3_object")
        _finish(result, self._name, partial=False)
        return pb.ListFacesResponse(results=[result], next_page_token=token)


def _bind(request: pb.EnrollFacesRequest | pb.RemoveFacesRequest | pb.RemovePersonRequest) -> str:
    request_id = requests.request_id_of(request.request_id)
    bind_contextvars(request_id=request_id)
    return request_id


def _warn_of_name(result: pb.EnrollmentResult, enrollment: Enrollment) -> None:
    """Add a warning if the person keeps another spelling of the name."""
    name = result.person.display_name
    if enrollment.is_derived and name not in ("", enrollment.display_name):
        result.warnings.append(f"The name stays {name!r}, as first given. Set person_id to change it.")


def _finish(
    result: pb.EnrollmentResult | pb.FaceRemovalResult | pb.RemovalResult | pb.PeopleResult | pb.FacesResult,
    name: str,
    *,
    partial: bool,
) -> None:
    """Fill in name, outcome and status."""
    result.recognizer = name
    result.outcome = recognizer_pb2.OUTCOME_PARTIAL if partial else recognizer_pb2.OUTCOME_OK
    result.status.SetInParent()
