"""What a call may raise.

    MarqueeError
    ├── InvalidRequest          a field of the request is wrong
    │   ├── UnknownRecognizer
    │   └── InvalidImage        not a picture that Marquee reads
    │       ├── ImageTooLarge
    │       └── UnfitFace       … or that somebody can be enrolled from
    ├── Unauthenticated         the server does not know the caller
    ├── PermissionDenied        … or does not let it do this
    ├── NotFound                such as an object in S3
    │   └── PersonNotFound
    ├── AlreadyExists
    │   └── FaceAlreadyEnrolled for another person
    ├── FailedPrecondition      the operator has to change something
    ├── ResourceExhausted       too many calls, or a budget is spent
    ├── Unimplemented           the server does not offer this
    ├── Aborted                 others changed the same: send it again
    ├── DeadlineExceeded        no answer in time
    ├── Cancelled               the call was given up
    ├── Unavailable             the server cannot answer now
    │   └── Unreachable         nothing answers at the address
    └── InternalError           an error on the server's side

A file that cannot be read raises OSError, as `open` does.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marquee.records import Status


class MarqueeError(Exception):
    """Base of everything that a call may raise.

    `message` says what is wrong and what to do; `code` is gRPC's name of the code
    ("INVALID_ARGUMENT"); `reason` is finer ("IMAGE_TOO_LARGE") or empty; `metadata` tells more
    (`field`: what is wrong in the request); `request_id` finds the call in the server's logs;
    `causes` has each recognizer's status where none of them could answer, or each picture's.
    """

    def __init__(  # noqa: PLR0913 - each is something known of the failed call
        self,
        message: str,
        *,
        code: str = "UNKNOWN",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        causes: "Sequence[Status]" = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.request_id = request_id
        self.causes = tuple(causes)


class InvalidRequest(MarqueeError):
    """A field of the request is wrong; metadata `field` names it."""


class UnknownRecognizer(InvalidRequest):
    """The server has no recognizer of that name."""


class InvalidImage(InvalidRequest):
    """The picture is missing, damaged, or in no format that Marquee reads."""


class ImageTooLarge(InvalidImage):
    """The picture has more bytes or pixels than are accepted."""


class UnfitFace(InvalidImage):
    """Nobody can be enrolled from the picture, or from any of several.

    `reason` tells what is wrong: NO_FACE, SEVERAL_FACES, FACE_TOO_SMALL, FACE_BLURRED, FACE_TURNED, or
    NO_FACE_ENROLLED where that differs from picture to picture; then `causes` has one status each.
    """


class Unauthenticated(MarqueeError):
    """The server does not know the caller."""


class PermissionDenied(MarqueeError):
    """The caller, or the servers, may not do this: read an S3 object, for one."""


class NotFound(MarqueeError):
    """There is no such thing: a bucket, an object or a version of it in S3."""


class PersonNotFound(NotFound):
    """Nobody of that person_id is known."""


class AlreadyExists(MarqueeError):
    """What was to be made is there already, and different."""


class FaceAlreadyEnrolled(AlreadyExists):
    """The face is known as that of another person, whom metadata `person_id` and `display_name` tell."""


class FailedPrecondition(MarqueeError):
    """The operator has to change something first."""


class ResourceExhausted(MarqueeError):
    """Too many calls at once, or a budget is spent. Try later."""


class Unimplemented(MarqueeError):
    """The server does not offer what was asked for."""


class Aborted(MarqueeError):
    """Others changed the same thing at the same time. Send the call again."""


class DeadlineExceeded(MarqueeError):
    """No answer in time."""


class Cancelled(MarqueeError):
    """The call was given up."""


class Unavailable(MarqueeError):
    """The server cannot answer now. Try again."""


class Unreachable(Unavailable):
    """Nothing answers at the address, or the connection broke."""


class InternalError(MarqueeError):
    """An error on the server's side; its log has more under `request_id`."""
