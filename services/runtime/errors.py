"""What can go wrong that a caller should know about.

    DomainError
    ├── InvalidRequest          a field of the request is wrong
    │   ├── UnknownRecognizer
    │   └── TooManyHops
    ├── UnsupportedPolicy
    ├── NotOffered              this server does not do that
    ├── PersonNotFound
    ├── InvalidImage            not a picture that Marquee reads
    │   ├── ImageMissing
    │   ├── ImageTooLarge
    │   └── UnfitFace           a picture that nobody should be enrolled from
    │       ├── NoFace
    │       ├── SeveralFaces
    │       ├── FaceTooSmall
    │       ├── FaceBlurred
    │       └── FaceTurned
    ├── FaceAlreadyEnrolled     … for another person
    ├── ObjectNotFound          S3 has no such bucket or object
    ├── ObjectForbidden         AWS refuses the object
    │   └── BucketNotAllowed    the operator has not allowed the bucket
    ├── CollectionNotFound      there is no such collection of faces
    ├── NotReady                the model cannot be asked yet, or not at the moment
    ├── Overloaded              too many calls at once
    ├── GalleryBusy             others change the gallery all the time
    ├── DependencyUnavailable   something behind this server does not answer
    ├── DependencyTimeout       … or not in time
    ├── OutOfTime               the call's deadline passed
    ├── Throttled               a paid service asks to slow down
    ├── BudgetExhausted         … or today's money is spent
    └── Misconfigured           the operator has to change something
        ├── CredentialsRefused  … the server's own credentials
        └── NotPermitted        … what these may do

Nothing here knows gRPC: status.py has the one table from these to codes.
Messages are written for the caller: what is wrong and what to do.
"""


class DomainError(Exception):
    """Base of everything that a caller is told; `message` goes to the caller as it is.

    `retry_after` is in seconds: a call before that meets the same error. None: not known.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.metadata = metadata


class InvalidRequest(DomainError):
    """A field of the request is wrong; metadata `field` names it."""


class UnknownRecognizer(InvalidRequest):
    """The request names a recognizer that this server does not have."""


class TooManyHops(InvalidRequest):
    """The call came through more gateways than allowed: they probably form a ring."""


class UnsupportedPolicy(DomainError):
    """This server does not offer the policy."""


class NotOffered(DomainError):
    """This server, as it is set up, does not do what is asked."""


class PersonNotFound(DomainError):
    """Nobody of that person_id is known."""


class InvalidImage(DomainError):
    """The bytes are not a picture that Marquee reads."""


class ImageMissing(InvalidImage):
    """The request holds neither content nor an S3 object, or no bytes at all."""


class ImageTooLarge(InvalidImage):
    """The picture has more bytes or pixels than the limits allow."""


class UnfitFace(InvalidImage):
    """Nobody should be enrolled from this picture."""


class NoFace(UnfitFace):
    """The picture shows no face that can be found."""


class SeveralFaces(UnfitFace):
    """The picture shows more than one face."""


class FaceTooSmall(UnfitFace):
    """The face has too few pixels."""


class FaceBlurred(UnfitFace):
    """The face is not sharp enough."""


class FaceTurned(UnfitFace):
    """The face looks too far away from the camera."""


class FaceAlreadyEnrolled(DomainError):
    """The face is known as another person's."""


class ObjectNotFound(DomainError):
    """S3 has no such bucket, object or version."""


class ObjectForbidden(DomainError):
    """The servers may not read the object."""


class BucketNotAllowed(ObjectForbidden):
    """The operator has not allowed the bucket or prefix."""


class CollectionNotFound(DomainError):
    """There is no such collection of faces."""


class NotReady(DomainError):
    """The model is still being loaded, or its server is away. Mends itself: try again in a moment."""


class Overloaded(DomainError):
    """The server has as many calls as it takes."""


class GalleryBusy(DomainError):
    """Others change the gallery at the same time, again and again."""


class DependencyUnavailable(DomainError):
    """Something behind this server does not answer."""


class DependencyTimeout(DomainError):
    """Something behind this server did not answer in time."""


class OutOfTime(DomainError):
    """The call's deadline passed before the answer was there."""


class Throttled(DomainError):
    """A service behind this one asks to slow down."""


class BudgetExhausted(DomainError):
    """The money that may be spent today is spent."""


class Misconfigured(DomainError):
    """The operator has to change a setting or a model."""


class CredentialsRefused(Misconfigured):
    """A service behind this one does not accept the server's own credentials."""


class NotPermitted(Misconfigured):
    """A service behind this one does not let the server's identity do this."""
