"""What a call answers."""

from dataclasses import dataclass, field

from marquee.enums import Feature, Outcome, TextType, VerdictState
from marquee.faces import Box, Candidate, Face
from marquee.records import Record, Status
from marquee.v1 import recognizer_pb2 as pb


@dataclass(frozen=True, slots=True)
class ImageInfo(Record):
    """A picture's measures."""

    width: int
    """Pixels, of the upright picture."""
    height: int
    """Pixels, of the upright picture."""
    sha256: str
    """Of the file's bytes, 64 lower-case hexadecimal digits."""
    format: str
    """ "JPEG", "PNG" or "WEBP"."""


@dataclass(frozen=True, slots=True)
class Model(Record):
    """A model that recognizes."""

    name: str
    version: str
    evidence_group: str
    """Models of one group share a network: their agreement counts once."""


@dataclass(frozen=True, slots=True)
class LabelInstance(Record):
    """One thing that bears a label."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Label(Record):
    """Something that the picture shows."""

    name: str
    score: float
    parents: tuple[str, ...]
    """The labels above it."""
    categories: tuple[str, ...]
    instances: tuple[LabelInstance, ...]
    """Where it was found, when the recognizer tells."""


@dataclass(frozen=True, slots=True)
class Text(Record):
    """A written text."""

    content: str
    box: Box
    score: float
    type: TextType


@dataclass(frozen=True, slots=True)
class ModerationLabel(Record):
    """A label that a moderator wants to see."""

    name: str
    parent: str
    """The label above it; empty at the top."""
    score: float


@dataclass(frozen=True, slots=True)
class FeatureError(Record):
    """A feature that failed while others did not."""

    feature: Feature
    status: Status


@dataclass(frozen=True, slots=True)
class RecognizerTimings(Record):
    """Where a recognizer's time went, in seconds; None where nobody measured."""

    queue: float | None
    network: float | None
    recognizer: float | None


@dataclass(frozen=True, slots=True)
class RecognizerResult(Record):
    """What one recognizer found."""

    recognizer: str
    """Its name; "gateway/name" for one behind another gateway."""
    status: Status
    outcome: Outcome
    from_cache: bool
    model: Model | None
    faces: tuple[Face, ...]
    """From left to right."""
    image_candidates: tuple[Candidate, ...]
    """People seen in the picture without a place in it, best score first."""
    labels: tuple[Label, ...]
    """Best score first."""
    texts: tuple[Text, ...]
    """In reading order."""
    moderation_labels: tuple[ModerationLabel, ...]
    """Best score first."""
    feature_errors: tuple[FeatureError, ...]
    timings: RecognizerTimings
    cost_micro_usd: int
    """Millionths of a US dollar."""
    warnings: tuple[str, ...]
    performed_features: tuple[Feature, ...]
    """So that no faces with CELEBRITIES here means: looked, and found none."""


@dataclass(frozen=True, slots=True)
class Support(Record):
    """A recognizer's word on a face."""

    recognizer: str
    candidate: Candidate
    evidence_group: str


@dataclass(frozen=True, slots=True)
class Verdict(Record):
    """What is known about one face when every recognizer has been heard."""

    box: Box | None
    """None for NO_FACE and for people seen without a place."""
    state: VerdictState
    person_id: str
    """For IDENTIFIED."""
    display_name: str
    """For IDENTIFIED."""
    score: float
    """For IDENTIFIED."""
    support: tuple[Support, ...]
    """Each recognizer's best candidate for this face, best score first."""


@dataclass(frozen=True, slots=True)
class CallTimings(Record):
    """Where a call's time went, in seconds."""

    total: float
    """From the request's arrival to the answer."""


@dataclass(frozen=True, slots=True)
class Recognition(Record):
    """What was found in one picture, by recognizer and all together."""

    request_id: str
    image: ImageInfo
    results: tuple[RecognizerResult, ...]
    """One per asked recognizer."""
    labels: tuple[Label, ...]
    """The recognizers' labels merged, best score first. From gateways only."""
    verdicts: tuple[Verdict, ...]
    """One per face, from left to right. From gateways only."""
    timings: CallTimings
    cost_micro_usd: int
    """Millionths of a US dollar."""
    saved_micro_usd: int
    """What the cache saved, likewise."""
    gateway: str
    """The name of the gateway that answered; empty for a single recognizer."""
    raw: pb.RecognizeImageResponse = field(repr=False, compare=False)
    """The message itself."""
