"""EnrollmentService around one recognizer's enroller."""

from collections.abc import Callable, Sequence

from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2
from services.runtime import enrollment_requests, requests
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enroller, Enrollment, Page
from services.runtime.server.calls import Context, seconds_left, within


class EnrollmentLeaf(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """Validates requests, calls the enroller, and fills in what all results have in common."""

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
        enrollment_requests.check_enrollment(request, self._s3_allowed)
        requests.check_names(request.recognizers, (self._name,))
        enrollment = Enrollment(
            person_id=enrollment_requests.person_id_of(request),
            display_name=request.display_name,
            images=[self._image(image) for image in request.images],
            collection=request.collection,
            allow_similar=request.allow_similar,
        )
        async with within(seconds_left(context), self._name):
            result = await self._enroller.enroll(enrollment)
        refused = any(face.state == pb.ENROLLMENT_STATE_REFUSED for face in result.faces)
        result.MergeFrom(pb.EnrollmentResult(recognizer=self._name, outcome=_outcome(partial=refused)))
        result.status.SetInParent()
        return pb.EnrollFacesResponse(request_id=request_id, person_id=enrollment.person_id, results=[result])

    async def RemovePerson(  # noqa: N802 - the contract's name
        self, request: pb.RemovePersonRequest, context: Context
    ) -> pb.RemovePersonResponse:
        """Return this recognizer's result, PARTIAL if it has warnings."""
        request_id = _bind(request)
        enrollment_requests.check_removal(request)
        requests.check_names(request.recognizers, (self._name,))
        async with within(seconds_left(context), self._name):
            result = await self._enroller.remove(request.person_id, request.collection)
        result.MergeFrom(pb.RemovalResult(recognizer=self._name, outcome=_outcome(partial=bool(result.warnings))))
        result.status.SetInParent()
        return pb.RemovePersonResponse(request_id=request_id, results=[result])

    async def ListPeople(  # noqa: N802 - the contract's name
        self, request: pb.ListPeopleRequest, context: Context
    ) -> pb.ListPeopleResponse:
        """Return a page of the people whom this recognizer knows."""
        size = enrollment_requests.page_size_of(request)
        requests.check_names(request.recognizers, (self._name,))
        async with within(seconds_left(context), self._name):
            people, token = await self._enroller.people(Page(size, request.page_token, request.collection))
        result = pb.PeopleResult(recognizer=self._name, outcome=recognizer_pb2.OUTCOME_OK, people=people)
        result.status.SetInParent()
        return pb.ListPeopleResponse(results=[result], next_page_token=token)


def _bind(request: pb.EnrollFacesRequest | pb.RemovePersonRequest) -> str:
    request_id = requests.request_id_of(request.request_id)
    bind_contextvars(request_id=request_id)
    return request_id


def _outcome(*, partial: bool) -> recognizer_pb2.Outcome.ValueType:
    return recognizer_pb2.OUTCOME_PARTIAL if partial else recognizer_pb2.OUTCOME_OK
