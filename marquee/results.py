"""Responses of RecognizerService: recognitions and the list of recognizers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marquee.enums import Feature, Findings, Outcome, RecognizerState, TextType, VerdictBasis, VerdictState
from marquee.records import Cell, Price, PriceGroup, Record, Spending, Status, Tabular
from marquee.sources import Picture, Source
from marquee.v1 import recognizer_pb2 as pb

if TYPE_CHECKING:
    from PIL.Image import Image

# ruff: noqa: PLC0415 - rows are made of these records; only notebooks draw


@dataclass(frozen=True, slots=True)
class Recognition(Tabular):
    """What one picture shows, by recognizer and combined."""

    request_id: str
    image: ImageInfo
    results: tuple[RecognizerResult, ...]
    """One per requested recognizer."""
    labels: tuple[Label, ...]
    """Merged labels of the recognizers, best score first. Only from gateways."""
    verdicts: tuple[Verdict, ...]
    """One per face, from left to right. Only from gateways."""
    timings: CallTimings
    cost_micro_usd: int
    """Millionths of a US dollar."""
    saved_micro_usd: int
    """What the cache and the policy saved, in millionths of a US dollar."""
    gateway: str
    """Name of the responding gateway; empty for a single recognizer."""
    raw: pb.RecognizeImageResponse = field(repr=False, compare=False)
    """The message itself."""
    picture: Picture | None = field(default=None, repr=False, compare=False)
    """What was recognized, as far as it can still be had."""

    def rows(self, findings: Findings | str = Findings.FACES) -> list[dict[str, Cell]]:
        """Return rows as of `marquee recognize -o csv`, for pandas.DataFrame: a row for each face.

        "labels": for each instance of a label, or label without one; "all": both. See marquee.rows.COLUMNS.
        """
        from marquee.rows import rows_of

        return rows_of(self, Findings(findings))

    def draw(self, source: Source | None = None, *, boxes: Findings | str | None = None) -> Image:
        """Return the picture with boxes and names, as a PIL image, upright.

        By default it is the picture that was recognized, read again, and from S3 with this process's own credentials.
        `boxes`: of faces, labels or all; None: of faces, or of labels where there is no face.
        Raises ImportError without marquee[draw], InvalidImage, OSError.
        """
        from marquee.notebook.page import drawn

        return drawn(self, source, None if boxes is None else Findings(boxes))

    def _repr_html_(self) -> str:
        from marquee.notebook.page import recognition_page

        return recognition_page(self)


@dataclass(frozen=True, slots=True)
class ImageInfo(Record):
    """Size and format of a picture."""

    width: int
    """Pixels, of the upright picture."""
    height: int
    """Pixels, of the upright picture."""
    sha256: str
    """Of the file's bytes: 64 lower-case hexadecimal digits."""
    format: str
    """ "JPEG", "PNG" or "WEBP"."""


@dataclass(frozen=True, slots=True)
class CallTimings(Record):
    """Duration of a call, in seconds."""

    total: float
    """From the arrival of the call to the response."""
    queue: float | None = None
    """Until the request was there; None: not measured."""
    recognizers: float | None = None
    """From the first call of a recognizer to the last answer that counts. Only from gateways."""
    fusion: float | None = None
    """Making verdicts and merging labels. Only from gateways."""


@dataclass(frozen=True, slots=True)
class Verdict(Record):
    """Combined result of all recognizers for one face."""

    box: Box | None
    """None for NO_FACE, and for people recognized without a location."""
    state: VerdictState
    person_id: str
    """Only if IDENTIFIED."""
    display_name: str
    """Only if IDENTIFIED."""
    score: float
    """Only if IDENTIFIED. A probability if the basis is CALIBRATED."""
    support: tuple[Support, ...]
    """Best candidate of each recognizer for this face, best score first."""
    basis: VerdictBasis = VerdictBasis.UNSPECIFIED
    """What it was made from; UNSPECIFIED for NO_FACE."""


@dataclass(frozen=True, slots=True)
class Support(Record):
    """A recognizer's best candidate for a face."""

    recognizer: str
    candidate: Candidate
    evidence_group: str
    log_likelihood_ratio: float | None = None
    """Natural logarithm of how much likelier its score is for the person than for others; None: not calibrated."""


@dataclass(frozen=True, slots=True)
class RecognizerResult(Record):
    """What one recognizer found."""

    recognizer: str
    """Its name; "gateway/name" behind another gateway."""
    status: Status
    outcome: Outcome
    from_cache: bool
    model: Model | None
    faces: tuple[Face, ...]
    """From left to right; with `face_boxes` in their order."""
    image_candidates: tuple[Candidate, ...]
    """People recognized in the picture without a location, best score first."""
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
    """Features that were performed: CELEBRITIES without faces means that there are none."""


@dataclass(frozen=True, slots=True)
class RecognizerTimings(Record):
    """Duration of a recognizer's part of a call, in seconds; None if not measured."""

    queue: float | None
    network: float | None
    """All of the call's time if the recognizer told none of its own."""
    recognizer: float | None
    start: float | None = None
    """From the arrival of the call at the gateway to the call of this recognizer."""


@dataclass(frozen=True, slots=True)
class FeatureError(Record):
    """A feature that failed while others succeeded."""

    feature: Feature
    status: Status


@dataclass(frozen=True, slots=True)
class Model(Record):
    """A recognizer's model."""

    name: str
    version: str
    evidence_group: str
    """Models of the same group share a network: their agreement counts once."""
    identify_score: float | None = None
    """Candidates below this score support no verdict; None: all do."""


@dataclass(frozen=True, slots=True)
class Face(Record):
    """A face and the people it may show."""

    box: Box
    detection_score: float
    """The detector's score for this being a face; 0 if unknown."""
    candidates: tuple[Candidate, ...]
    """Best score first. Empty: a face that the recognizer does not know."""
    landmarks: tuple[Landmark, ...]
    quality: FaceQuality | None
    attributes: tuple[FaceAttribute, ...]
    embedding: Embedding | None
    """Only with `include_embeddings`."""


@dataclass(frozen=True, slots=True)
class Box(Record):
    """A part of a picture, in fractions (0 to 1) of the upright picture's width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """A person whom a face may show."""

    person_id: str
    """The recognizer's stable identifier."""
    display_name: str
    score: float
    urls: tuple[str, ...]
    """Pages about the person."""
    enrolled: bool = False
    """Whether somebody enrolled the person, so that the ID means the same in all recognizers."""


@dataclass(frozen=True, slots=True)
class Landmark(Record):
    """A point of a face, in fractions (0 to 1) of the upright picture's width and height."""

    type: str
    """ "eyeLeft", "nose" …"""
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class FaceQuality(Record):
    """Quality of a face in a picture."""

    sharpness: float | None
    """0 (blurred) to 1 (sharp)."""
    brightness: float | None
    """0 (dark) to 1 (bright)."""
    pose: Pose | None


@dataclass(frozen=True, slots=True)
class Pose(Record):
    """Orientation of a face in degrees, -180 to 180; 0 faces the camera."""

    roll: float
    yaw: float
    pitch: float


@dataclass(frozen=True, slots=True)
class FaceAttribute(Record):
    """An attribute of a face."""

    name: str
    """ "Smile", "AgeRange" …"""
    value: str
    """ "true", "false" or a text such as "31-39"."""
    score: float


@dataclass(frozen=True, slots=True)
class Embedding(Record):
    """A face as a vector. Vectors of the same model and version can be compared."""

    model: str
    values: tuple[float, ...]
    version: str = ""
    """Version of the network, with the alignment of faces before it."""
    metric: str = ""
    """How two vectors are compared: "l2" or "cosine"."""


@dataclass(frozen=True, slots=True)
class Label(Record):
    """Something that the picture shows."""

    name: str
    score: float
    parents: tuple[str, ...]
    """More general labels."""
    categories: tuple[str, ...]
    instances: tuple[LabelInstance, ...]
    """Locations, if the recognizer reports them."""


@dataclass(frozen=True, slots=True)
class LabelInstance(Record):
    """Location of one instance of a label."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Text(Record):
    """Written text in a picture."""

    content: str
    box: Box
    score: float
    type: TextType


@dataclass(frozen=True, slots=True)
class ModerationLabel(Record):
    """A label of interest to moderators."""

    name: str
    parent: str
    """The more general label; empty at the top level."""
    score: float


@dataclass(frozen=True, slots=True)
class Recognizer(Tabular):
    """A recognizer, what it can do and what it costs."""

    name: str
    """ "gateway/name" behind another gateway."""
    state: RecognizerState
    status: Status | None
    """Why it is UNAVAILABLE."""
    features: tuple[Feature, ...]
    models: tuple[Model, ...]
    prices: tuple[Price, ...]
    """Empty: free of charge."""
    can_enroll: bool
    evidence_group: str
    spending: Spending | None
    """None: free of charge, unless `spending_withheld`."""
    smallest_face: float | None = None
    """Side of the smallest face that it finds, in fractions of the picture's longer side; None: unknown."""
    takes_face_boxes: bool = False
    """Whether it describes faces in given boxes."""
    spending_withheld: bool = False
    """Whether it charges, but the caller may not see what is spent: that needs the scope admin."""
    gives_embeddings: bool = False
    """Whether its faces have an `embedding` if asked for."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return its row; see marquee.rows.recognizer_rows."""
        from marquee.rows import recognizer_rows

        return recognizer_rows(self)

    price_groups: tuple[PriceGroup, ...] = ()
    """Prices of its calls by the month's volume. Empty: they are the same for all volumes."""
