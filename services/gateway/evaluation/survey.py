"""What a running gateway answers about labelled pictures: every recognizer asked, nothing from a cache."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc

from marquee.channels.connection import Connection
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceStub
from services.gateway.backends.models import Told
from services.gateway.evaluation.pictures import Picture, StudyError
from services.gateway.fusion.verdict import VALID
from services.runtime.images.folder import LeftOut
from services.runtime.people import person_id_of

_REFUSED = "INVALID_ARGUMENT"
_LIST_SECONDS = 10
Track = Callable[[Iterable["Answer | LeftOut"], int], Iterable["Answer | LeftOut"]]


@dataclass(frozen=True)
class Answer:
    """A picture, and what all recognizers say about it."""

    picture: Picture
    response: pb.RecognizeImageResponse

    @property
    def person(self) -> str:
        """Whom the picture shows; empty for a stranger."""
        return self.picture.person

    @property
    def moment(self) -> str:
        """The picture's group, a stranger's apart from those of the people whom the recognizers know."""
        return f"{bool(self.person)} {self.picture.group}"

    @property
    def results(self) -> Sequence[pb.RecognizerResult]:
        """One per recognizer that performed anything."""
        return [result for result in self.response.results if result.outcome in VALID]


class Survey:
    """A gateway to ask whom pictures show; of one recognizer, if it is named, also for labels."""

    def __init__(self, connection: Connection, timeout: float, labels_of: str = "") -> None:
        self._connection = connection
        self._labels_of = labels_of
        self._timeout = timeout
        self._stub = RecognizerServiceStub(connection.open())

    def recognizers(self) -> list[pb.Recognizer]:
        """Return the recognizers behind the gateway, in its order. Raises StudyError."""
        try:
            call = self._stub.ListRecognizers
            metadata = self._connection.metadata()
            return list(call(pb.ListRecognizersRequest(), timeout=_LIST_SECONDS, metadata=metadata).recognizers)
        except grpc.RpcError as error:
            raise StudyError(self._connection.error_of(error).message) from error

    def price(self, recognizers: Sequence[pb.Recognizer]) -> int:
        """Return what a picture costs if all are asked, in millionths of a US dollar."""
        told = Told(recognizers)
        labels = told.price_of({pb.FEATURE_LABELS}, {self._labels_of}) if self._labels_of else 0
        return told.price_of({pb.FEATURE_CELEBRITIES}) + labels

    def ask(self, pictures: Sequence[Picture], jobs: int, track: Track) -> tuple[list[Answer], list[LeftOut]]:
        """Return the answers, and the pictures without one that can be judged. Raises StudyError."""
        with ThreadPoolExecutor(jobs) as pool:
            asked = list(track(pool.map(self._ask, pictures), len(pictures)))
        answers = [one for one in asked if isinstance(one, Answer)]
        if not answers:
            raise StudyError("No picture has an answer that can be judged: each must show one face.")
        return answers, [one for one in asked if isinstance(one, LeftOut)]

    def _ask(self, picture: Picture) -> Answer | LeftOut:
        try:
            response = self._recognize(picture, pb.FEATURE_CELEBRITIES)
            if self._labels_of:
                _add_labels(response, self._recognize(picture, pb.FEATURE_LABELS, self._labels_of))
        except grpc.RpcError as error:
            failure = self._connection.error_of(error)
            if failure.code != _REFUSED:
                raise StudyError(failure.message) from error
            return LeftOut(Path(picture.name), failure.message)
        problem = _problem(response)
        return LeftOut(Path(picture.name), problem) if problem else Answer(picture, response)

    def _recognize(
        self, picture: Picture, feature: pb.Feature.ValueType, *recognizers: str
    ) -> pb.RecognizeImageResponse:
        image = pb.Image(content=picture.path.read_bytes())
        request = pb.RecognizeImageRequest(image=image, features=[feature], recognizers=recognizers)
        request.policy, request.no_cache = pb.POLICY_ALL, True
        response: pb.RecognizeImageResponse = self._stub.RecognizeImage(
            request, timeout=self._timeout, metadata=self._connection.metadata()
        )
        return response


def is_person(candidate: pb.Candidate, person: str) -> bool:
    """Return whether the candidate is the person whom a folder is named after; nobody is an empty person."""
    return bool(person) and person in {candidate.person_id, person_id_of(candidate.display_name)}


def result_of(answer: Answer, recognizer: str) -> pb.RecognizerResult | None:
    """Return the recognizer's result, if it performed anything."""
    return next((result for result in answer.results if result.recognizer == recognizer), None)


def candidates_of(result: pb.RecognizerResult) -> Iterator[pb.Candidate]:
    """Yield all candidates of a picture that shows one face."""
    for face in result.faces:
        yield from face.candidates
    yield from result.image_candidates


def best_candidate(result: pb.RecognizerResult) -> pb.Candidate | None:
    """Return the candidate that supports a verdict, if any reaches the model's identify_score."""
    sure = [one for one in candidates_of(result) if one.score >= result.model.identify_score]
    return max(sure, key=lambda one: one.score, default=None)


def _add_labels(response: pb.RecognizeImageResponse, labelled: pb.RecognizeImageResponse) -> None:
    """Add the labels to the results of the recognizers that they are from."""
    for result in labelled.results:
        own = next((one for one in response.results if one.recognizer == result.recognizer), None)
        if own is None or own.outcome not in VALID:
            response.results.append(result)
        else:
            own.labels.extend(result.labels)


def _problem(response: pb.RecognizeImageResponse) -> str:
    """Say why the answer cannot be judged; empty if it can."""
    failed = [one.recognizer for one in response.results if one.outcome not in VALID | {pb.OUTCOME_SKIPPED}]
    if failed:
        return f"{', '.join(failed)} did not answer"
    faces = max((len(result.faces) for result in response.results), default=0)
    return f"{faces} faces" if faces > 1 else ""
