"""Responses about people, faces, questions and actions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from marquee.library.people.enums import Band, FaceMark, SuggestionKind
from marquee.library.people.models import VectorModel
from marquee.library.results import LibraryPicture, PictureFace
from marquee.records import Cell, Record, Tabular


@dataclass(frozen=True, slots=True)
class LibraryPerson(Tabular):
    """A person in the library."""

    person_id: str
    """Permanent identifier, a UUIDv7; recognizers get it as person_id."""
    collection: str
    display_name: str
    """Several people may have one name."""
    aliases: tuple[str, ...]
    """Other names, by which they are found, too."""
    hidden: bool
    """Whether they are left out where people are listed and asked about."""
    cover_face_id: str
    """Face that stands for them; chosen by the library unless it was set."""
    face_count: int
    """Those in the trash left out."""
    decided_count: int
    """Number of those that were decided."""
    identities: tuple[PersonIdentity, ...]
    """Whom recognizers know them as."""
    create_time: datetime | None
    etag: str
    """Changes with name, aliases, cover and hidden."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return the person's row: aliases are "one; another"."""
        return [
            {
                "person_id": self.person_id,
                "name": self.display_name,
                "aliases": "; ".join(self.aliases),
                "faces": self.face_count,
                "decided": self.decided_count,
                "hidden": self.hidden,
                "create_time": self.create_time,
            }
        ]


@dataclass(frozen=True, slots=True)
class PersonIdentity(Record):
    """What a recognizer calls a person."""

    recognizer: str
    """Empty: the gateway's verdicts."""
    recognizer_collection: str
    external_id: str
    """Its person_id."""


@dataclass(frozen=True, slots=True)
class PersonChange(Record):
    """A person after a change."""

    person: LibraryPerson
    action_id: str
    """For `undo`."""


@dataclass(frozen=True, slots=True)
class FoundFace(Tabular):
    """A face with its picture."""

    face: PictureFace
    picture_id: str
    taken_time: datetime | None
    """When the picture was taken."""
    distance: float | None
    """From what was looked for, by the model's metric; None: nothing was."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return the face's row; its box is in fractions of the upright picture."""
        box = self.face.verdict.box
        return [
            {
                "face_id": self.face.face_id,
                "picture_id": self.picture_id,
                "person_id": self.face.person_id or None,
                "name": self.face.display_name or None,
                "score": self.face.score if self.face.person_id else None,
                "source": str(self.face.source),
                "state": str(self.face.state),
                "distance": self.distance,
                "taken_time": self.taken_time,
                **(box.to_dict() if box else dict.fromkeys(("left", "top", "width", "height"))),
            }
        ]


@dataclass(frozen=True, slots=True)
class DrawnFace(Record):
    """A face that no recognizer had found."""

    face: PictureFace
    action_id: str
    """For `undo`."""


@dataclass(frozen=True, slots=True)
class SplitProposal(Record):
    """How a person's faces may be split."""

    groups: tuple[FaceGroup, ...]
    """The largest first."""
    compared_count: int
    """Number of the person's faces that were compared; of more than 2000, some."""


@dataclass(frozen=True, slots=True)
class FaceGroup(Record):
    """Faces that belong together."""

    face_ids: tuple[str, ...]
    """Those that are most like the others first."""
    decided_count: int
    """Number of those that were decided to be the person."""


@dataclass(frozen=True, slots=True)
class Cluster(Record):
    """Faces that a machine takes for one person's."""

    cluster_id: str
    face_count: int
    """Number of its faces that have no name."""
    face_ids: tuple[str, ...]
    """Some of its faces."""


@dataclass(frozen=True, slots=True)
class NextSuggestion(Record):
    """The question whose answer names most faces."""

    suggestion: Suggestion | None
    """None: there is none."""
    open_count: int
    """Number of questions that are open; of more than 10000, 10000."""


@dataclass(frozen=True, slots=True)
class Suggestion(Record):
    """A question."""

    kind: SuggestionKind
    suggestion_id: str
    """Names the question in `answer`."""
    face: FoundFace | None
    """Of a cluster or a person the one that stands for it."""
    person: LibraryPerson | None
    """None: the question is who it is."""
    other_person: LibraryPerson | None
    """The other one, if the question is whether two are one."""
    score: float
    """Score of the answer SAME, 0 to 1."""
    gain: int
    """Number of faces that the answer SAME names."""
    picture: LibraryPicture | None
    """With its date and who else is in it."""


@dataclass(frozen=True, slots=True)
class FaceExplanation(Record):
    """Why a face has its name."""

    face: FoundFace
    opinions: tuple[Opinion, ...]
    """What machines say, best score first."""
    decision: Decision | None
    """What was decided; None: nothing."""
    refusals: tuple[Refusal, ...]
    """Whom it was refused."""
    neighbours: tuple[FoundFace, ...]
    """Faces that are near it, nearest first."""
    without_decision: LibraryPerson | None
    """Whom it shows if its decision is undone; None: nobody, or there is none."""
    affected_face_ids: tuple[str, ...]
    """Other faces that may get another name then."""
    reasons: tuple[str, ...]
    """The same in sentences."""


@dataclass(frozen=True, slots=True)
class Opinion(Record):
    """What a machine says of a face."""

    source: str
    """A recognizer, or "neighbours"."""
    person_id: str
    display_name: str
    score: float
    """0 to 1."""
    band: Band
    model: str
    version: str
    """Of the model."""
    overruled: str
    """Why it names nobody all the same; empty: it does, or it is not sure enough."""


@dataclass(frozen=True, slots=True)
class Decision(Record):
    """What somebody decided of a face."""

    person_id: str
    """Empty: the mark says what it is."""
    display_name: str
    mark: FaceMark
    caller: str
    """Who decided it."""
    create_time: datetime | None
    action_id: str
    """Empty: it is undone no more."""


@dataclass(frozen=True, slots=True)
class Refusal(Record):
    """Whom a face does not show."""

    person_id: str
    display_name: str
    caller: str
    """Who refused it."""
    create_time: datetime | None


@dataclass(frozen=True, slots=True)
class Action(Tabular):
    """Something that somebody did."""

    action_id: str
    type: str
    """Method that did it, such as "MergePeople"."""
    caller: str
    create_time: datetime | None
    summary: str
    """The same in a sentence."""
    undone_by: str
    """The action that undid it; empty: none."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return the action's row."""
        return [self.to_dict() | {"create_time": self.create_time}]


@dataclass(frozen=True, slots=True)
class Undo(Record):
    """An action that was undone."""

    action_id: str
    """For `undo`, which does it again."""
    action: Action
    """The action that was undone."""


@dataclass(frozen=True, slots=True)
class SimilarFaces(Tabular):
    """Faces that look like something."""

    faces: tuple[FoundFace, ...]
    """Nearest first."""
    exact: bool
    """Whether all faces that may be found were compared; else the index was asked, which may miss some."""
    model: VectorModel | None
    """By whose vectors they were compared."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return the rows of the faces."""
        return [row for face in self.faces for row in face.rows()]
