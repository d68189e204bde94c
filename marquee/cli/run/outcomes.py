"""What became of each picture at each recognizer, also where a recognizer, or the whole call, failed for it."""

from collections.abc import Iterator
from dataclasses import replace

from marquee.cli.run.batches import Batch
from marquee.enrollment import EnrolledFace, Enrollment, EnrollmentResult
from marquee.enums import EnrollmentState, Outcome
from marquee.errors import InvalidImage
from marquee.records import Status


def results_of(batch: Batch) -> tuple[EnrollmentResult, ...]:
    """One per recognizer, each with a face per picture where it looked at them; none where the call itself failed.

    A result without a name is that of a recognizer asked alone, or of a picture that could not be read.
    """
    match batch.answer:
        case Enrollment(results=results):
            return tuple(_with_faces(result, len(batch.pictures)) for result in results)
        case OSError() as error:
            return (_failed("", Status("UNKNOWN", error.strerror or str(error)), 1),)
        case InvalidImage(causes=()) as error:
            message = error.message.removeprefix(batch.pictures[0]).lstrip()
            return (_failed("", Status(error.code, message, error.reason), len(batch.pictures)),)
        case error:
            status = Status(error.code, error.message, error.reason, error.metadata, error.causes)
            results = tuple(_results(status, "", len(batch.pictures)))
            return results if any(result.faces for result in results) else ()


def _results(status: Status, name: str, pictures: int) -> Iterator[EnrollmentResult]:
    """A failed call's status has one of each picture, or one of each recognizer, each of which may have the same."""
    if not status.causes or _of_pictures(status, pictures):
        yield _with_faces(_failed(name, status, 0), pictures)
        return
    for cause in status.causes:
        inner, _, message = cause.message.partition(": ")
        yield from _results(replace(cause, message=message), f"{name}/{inner}".strip("/"), pictures)


def _with_faces(result: EnrollmentResult, pictures: int) -> EnrollmentResult:
    """A recognizer that took no picture tells in its status what was wrong with each."""
    if result.faces or not _of_pictures(result.status, pictures):
        return result
    faces = (
        _refused(replace(cause, message=cause.message.removeprefix(f"picture {number}: ")))
        for number, cause in enumerate(result.status.causes, 1)
    )
    return replace(result, faces=tuple(faces), outcome=Outcome.PARTIAL)


def _of_pictures(status: Status, pictures: int) -> bool:
    named = (cause.message.startswith(f"picture {number}: ") for number, cause in enumerate(status.causes, 1))
    return 0 < len(status.causes) == pictures and all(named)


def _failed(name: str, status: Status, pictures: int) -> EnrollmentResult:
    faces = (_refused(status),) * pictures
    outcome = Outcome.PARTIAL if faces else Outcome.ERROR
    return EnrollmentResult(name, status, outcome, None, faces, None, 0, ())


def _refused(status: Status) -> EnrolledFace:
    return EnrolledFace("", EnrollmentState.REFUSED, status, None, None, ())
