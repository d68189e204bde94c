"""Errors that callers see.

    DomainError
    ├── InvalidRequest          a field of the request is invalid
    │   ├── MalformedRequest    … or its bytes are no request at all
    │   ├── UnknownRecognizer
    │   ├── RequestReused       its request_id was another request's
    │   └── TooManyHops
    ├── Unauthenticated         who calls is not known
    │   ├── CredentialsMissing  … since the call has none
    │   ├── TokenUnknown
    │   ├── TokenExpired
    │   ├── TokenInvalid        a JWT that is not to be trusted
    │   └── CertificateUnknown  a client certificate without a name that may call
    ├── Forbidden               the caller may not do this
    │   ├── ScopeMissing
    │   ├── CollectionForbidden
    │   ├── RelayForbidden      … not speak for another caller
    │   └── ForeignRequest      … what a page of another site makes a browser ask for
    ├── RateExceeded            the caller calls more often than agreed
    ├── UnsupportedPolicy
    ├── NotOffered              this server does not support the call
    ├── RequiredMissing         a required recognizer has no part in the answer
    ├── PersonNotFound
    ├── PictureNotFound         nor is it in another collection, as far as the caller is told
    ├── PictureErased           and not to be added again
    ├── ContentMissing          the library has no file of this picture
    ├── CategoryNotFound
    ├── FaceNotFound
    ├── ActionNotFound
    ├── ActionConflict          what an action changed has changed since
    ├── EtagStale               the person has changed since the caller saw them
    ├── PersonTwice             the person would be two faces of one picture
    ├── PeopleSeparated         it was decided that they are two
    ├── ModelNotFound           the library has no vectors of it
    ├── RuleNotFound            the collection has no such rule of notifications
    ├── InvalidImage            not a picture that Marquee can read
    │   ├── ImageMissing
    │   ├── ImageTooLarge
    │   └── UnfitFace           a picture that is not good enough to enroll
    │       ├── NoFace
    │       ├── SeveralFaces
    │       ├── FaceTooSmall
    │       ├── FaceBlurred
    │       └── FaceTurned
    ├── FaceAlreadyEnrolled     as another person
    ├── NameTaken               by somebody whose faces differ
    ├── ObjectNotFound          S3 has no such bucket or object
    ├── ObjectForbidden         S3 refuses access to the object
    │   └── BucketNotAllowed    the operator does not allow the bucket
    ├── CollectionNotFound
    ├── CollectionNotIndexed    whose faces a collection has is not known yet
    ├── NotReady                the model is not available yet, or not at the moment
    ├── Overloaded              too many calls at once
    │   ├── Shed                … of one recognizer
    │   └── BatchRefused        … to take one that gives way to others
    ├── GalleryBusy             concurrent changes of the gallery
    ├── DependencyUnavailable   something behind this server is unavailable
    ├── DependencyTimeout       … or too slow
    ├── OutOfTime               the call's deadline passed
    ├── InvalidAnswer           a recognizer's answer breaks the contract
    ├── AnswerTooLarge          … or is too large to pass on beside the others
    ├── Throttled               a paid service limits the rate
    ├── BudgetExhausted         … or the budget for today is spent
    │   └── CallerBudgetExhausted   … that of this caller
    └── Misconfigured           the operator has to change something
        ├── CredentialsRefused  … the server's credentials
        └── NotPermitted        … their permissions

Nothing here depends on gRPC: status.py has the one table from these to codes.
Messages are written for the caller: what is wrong and what to do.
"""


class DomainError(Exception):
    """Base class of all errors that callers see; `message` goes to the caller unchanged.

    `retry_after` is in seconds: a call before that fails the same way. None: unknown.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.metadata = metadata


class InvalidRequest(DomainError):
    """A field of the request is invalid; metadata `field` names it."""


class MalformedRequest(InvalidRequest):
    """The request's bytes cannot be parsed."""


class UnknownRecognizer(InvalidRequest):
    """The request names a recognizer that this server does not have."""


class RequestReused(InvalidRequest):
    """The request has the request_id of another one."""


class TooManyHops(InvalidRequest):
    """The call passed through more gateways than allowed; they probably form a loop."""


class Unauthenticated(DomainError):
    """The call does not show who makes it."""


class CredentialsMissing(Unauthenticated):
    """The call has no credentials, and this server asks for some."""


class TokenUnknown(Unauthenticated):
    """The token is none that this server knows."""


class TokenExpired(Unauthenticated):
    """The token was valid, but is no longer."""


class TokenInvalid(Unauthenticated):
    """The JWT cannot be trusted, or is not for this server; the message says why."""


class CertificateUnknown(Unauthenticated):
    """The client certificate is in order, but none of its names may call."""


class Forbidden(DomainError):
    """The caller is known, but may not do this."""


class ScopeMissing(Forbidden):
    """The caller lacks the scope that the method needs; metadata `scope` names it."""


class CollectionForbidden(Forbidden):
    """The caller may not use this collection."""


class RelayForbidden(Forbidden):
    """The caller speaks for another one without the scope relay."""


class ForeignRequest(Forbidden):
    """A browser sends what the page itself did not ask for: another site may have made it do so."""


class RateExceeded(DomainError):
    """The caller makes more calls a second than it may."""


class UnsupportedPolicy(DomainError):
    """This server does not offer the policy."""


class NotOffered(DomainError):
    """This server, as configured, does not support the call."""


class RequiredMissing(DomainError):
    """A required recognizer performs nothing of what was asked for, or several failed in different ways."""


class PersonNotFound(DomainError):
    """There is no person with this person_id."""


class PictureNotFound(DomainError):
    """The collection has no picture with this picture_id."""


class PictureErased(DomainError):
    """The picture was erased, and is not to come back."""


class ContentMissing(DomainError):
    """The library has no file of this picture yet, or never had one."""


class CategoryNotFound(DomainError):
    """The collection has no category with this category_id."""


class RuleNotFound(DomainError):
    """The collection has no rule of notifications with this rule_id."""


class FaceNotFound(DomainError):
    """The collection has no face with this face_id."""


class ActionNotFound(DomainError):
    """The collection has no action with this action_id."""


class ActionConflict(DomainError):
    """What an action changed has changed since, so that it cannot be undone."""


class EtagStale(DomainError):
    """The person has changed since the caller saw them."""


class PersonTwice(DomainError):
    """The person would be two faces of one picture."""


class PeopleSeparated(DomainError):
    """It was decided that these people are two."""


class ModelNotFound(DomainError):
    """The library has no vectors, or none of this model."""


class InvalidImage(DomainError):
    """The bytes are not a picture that Marquee can read."""


class ImageMissing(InvalidImage):
    """The request has neither content nor an S3 object, or the picture has 0 bytes."""


class ImageTooLarge(InvalidImage):
    """The picture has more bytes or pixels than allowed."""


class UnfitFace(InvalidImage):
    """The picture is not good enough to enroll."""


class NoFace(UnfitFace):
    """No face was detected in the picture."""


class SeveralFaces(UnfitFace):
    """The picture shows more than one face."""


class FaceTooSmall(UnfitFace):
    """The face is too small, in pixels."""


class FaceBlurred(UnfitFace):
    """The face is not sharp enough."""


class FaceTurned(UnfitFace):
    """The face is turned too far from the camera."""


class FaceAlreadyEnrolled(DomainError):
    """The face is already enrolled as another person."""


class NameTaken(DomainError):
    """The face does not match those of the person who has this display name."""


class ObjectNotFound(DomainError):
    """S3 has no such bucket, object or version."""


class ObjectForbidden(DomainError):
    """The servers are not permitted to read the object, or not to know that there is none."""


class BucketNotAllowed(ObjectForbidden):
    """The operator does not allow the bucket or prefix."""


class CollectionNotFound(DomainError):
    """There is no such collection of faces."""


class CollectionNotIndexed(DomainError):
    """The collection has faces that the server cannot tell by person yet. An operator has to index it."""


class NotReady(DomainError):
    """The model is still loading, or its server is temporarily unavailable. Try again in a moment."""


class Overloaded(DomainError):
    """The server has too many calls in flight."""


class Shed(Overloaded):
    """The recognizer has as many calls in flight as the gateway allows it."""


class BatchRefused(Overloaded):
    """The call's priority is batch, and the places that are left are for others."""


class GalleryBusy(DomainError):
    """Concurrent changes of the gallery kept this one from being made. Safe to retry."""


class DependencyUnavailable(DomainError):
    """Something behind this server is unavailable."""


class DependencyTimeout(DomainError):
    """Something behind this server did not respond in time."""


class OutOfTime(DomainError):
    """The call's deadline passed before the response was ready."""


class InvalidAnswer(DomainError):
    """A recognizer's answer breaks the contract; none of it is used."""


class AnswerTooLarge(DomainError):
    """The recognizer's answer was left out: with it the response would be over 16 MiB."""


class Throttled(DomainError):
    """A service behind this server limits the rate of calls."""


class BudgetExhausted(DomainError):
    """The budget for today is spent."""


class CallerBudgetExhausted(BudgetExhausted):
    """What this caller may spend today is spent."""


class Misconfigured(DomainError):
    """The operator has to change a setting or a model."""


class CredentialsRefused(Misconfigured):
    """A service behind this server does not accept the server's credentials."""


class NotPermitted(Misconfigured):
    """A service behind this server denies this to the server's identity."""
