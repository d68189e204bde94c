"""Training pictures: their files, the people whom they show, and the features of their faces."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

import cv2
import numpy as np
import numpy.typing as npt

from services.runtime.errors import DomainError, InvalidImage
from services.runtime.images.faces import Face
from services.runtime.images.folder import LeftOut, labelled_pictures, lines
from services.runtime.images.image import Image, Pixels
from services.runtime.limits import MAX_IMAGE_BYTES
from services.runtime.people import person_id_of
from services.runtime.storage.s3 import S3, S3Url, is_s3
from services.svm.faces.quality import quality
from services.svm.gallery.people import Person
from services.svm.networks.network import DLIB
from services.svm.recipes.embedding import Embedding
from services.svm.recipes.recipe import Recipe

MIN_FACES = 2
"""Per person: cross-validation trains on some of them and tests on the others."""
LONELY = "the only usable picture of its person; two are needed, one for measuring"
NO_FACE = "no face"
BLURRED = "blurred"
MIN_SHARPNESS = 0.08
"""The least sharp of 110 good faces measured has 0.22."""
_THUMBNAIL_SIDE = 96
_CROP_SHARE = 0.4
"""Part of a picture that a face takes in a crop of it: 0.45 and more in 110 crops measured, 0.36 at most in photos."""
_CROP_SHAPE = 1.6
"""The longer side of a crop, at most, in shorter sides."""
_TALL = 1.15
"""The height in widths from which a crop has the shape of YuNet's boxes and not of Haar's."""
Finder = Callable[[Pixels], list[Face]]
Numbers = npt.NDArray[np.float64]


class TrainingError(Exception):
    """The pictures cannot be trained on; the message says what to change."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in the training folder."""

    path: Path
    folder: str
    """Name of the person's folder."""
    sha256: str = ""
    features: Numbers | None = None
    """[views, length] of its one face."""
    identity: Numbers | None = None
    """[128]: dlib's embedding of the face, in every recipe: for finding duplicates and wrong names."""
    thumbnail: bytes = b""
    """The face as a small JPEG."""
    group: int = -1
    """Near-duplicates share it."""
    problem: str = ""
    """Why it cannot be used: "no face", "2 faces"."""
    unreadable: str = ""
    """Why it is not a picture."""
    may_be_crop: bool = False
    """Whether it has the shape of a face."""
    face_share: float = 0.0
    """Part of the picture that its one face takes; 0 if there is not one."""
    is_crop: bool = False
    """Whether the whole picture is taken as the face."""

    @property
    def usable(self) -> bool:
        """Whether there is something to train on."""
        return self.features is not None and not self.problem


def find_pictures(folder: Path) -> tuple[list[Picture], list[LeftOut]]:
    """Return the pictures below FOLDER/PERSON, without features yet, and all else. Raises TrainingError."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder.")
    paths, left_out = labelled_pictures(folder)
    try:
        _check_folders(folder, paths)
    except TrainingError as exc:
        raise TrainingError("\n".join([str(exc), *lines(left_out)])) from None
    lonely = [path.relative_to(folder) for own in paths.values() for path in own if len(own) < MIN_FACES]
    pictures = [Picture(path, name) for name, own in paths.items() for path in own if len(own) >= MIN_FACES]
    return pictures, [*left_out, *(LeftOut(path, LONELY) for path in lonely)]


def crops_among(pictures: Sequence[Picture]) -> list[Picture]:
    """Return those that are crops of faces: none unless most of the pictures with a face are filled by it.

    In a folder of crops, those in which no single face was found are crops, too: detectors miss many faces that have
    nothing around them. Pictures that a face does not fill, or that have not its shape, may be photos even there.
    """
    one_face = [picture for picture in pictures if picture.face_share]
    filled = [picture for picture in one_face if picture.face_share >= _CROP_SHARE]
    if 2 * len(filled) <= len(one_face):
        return []
    missed = [picture for picture in pictures if picture.may_be_crop and not picture.face_share]
    return [*filled, *missed]


def too_few(counts: Mapping[str, int]) -> TrainingError:
    """Return the error for the numbers of usable pictures in each folder."""
    few = ", ".join(f"{folder} ({count})" for folder, count in counts.items() if count < MIN_FACES)
    return TrainingError(
        f"Two people need {MIN_FACES} or more usable pictures each, with exactly one face. Too few: {few}."
    )


def person_of(folder: str) -> Person:
    """Return the person of a folder's name: "Eileen_Collins" is Eileen Collins."""
    display_name = normalize("NFC", " ".join(folder.replace("_", " ").split()))  # macOS takes letters apart
    return Person(person_id_of(display_name), display_name)


@contextmanager
def local_folder(source: str, endpoint_url: str | None) -> Iterator[tuple[Path, list[LeftOut]]]:
    """Yield the folder, or a copy of s3://BUCKET/PREFIX that lasts as long as the context, and what is not copied.

    Raises TrainingError.
    """
    left_out: list[LeftOut] = []
    if not is_s3(source):
        yield Path(source), left_out
        return

    def is_wanted(key: str, size: int) -> bool:
        if size > MAX_IMAGE_BYTES:
            left_out.append(LeftOut(Path(key), f"{size} bytes; the maximum is {MAX_IMAGE_BYTES}"))
        return size <= MAX_IMAGE_BYTES

    with TemporaryDirectory() as folder:
        try:
            S3(endpoint_url).download_all(S3Url.parse_folder(source), Path(folder), is_wanted)
        except DomainError as exc:
            raise TrainingError(f"{source} cannot be read: {exc}") from exc
        yield Path(folder), left_out


class FeatureExtractor:
    """Reader of pictures, which computes one recipe's features of their faces."""

    def __init__(self, find: Finder, recipe: Recipe) -> None:
        self._find = find
        self._recipe = recipe
        self._embedding = recipe if recipe.network == DLIB else Embedding()

    def extract(self, picture: Picture, *, is_crop: bool = False) -> Picture:
        """Return the picture with the features of its one face, or with what is wrong with it.

        `is_crop`: the whole picture is the box that a detector drew around the face.
        """
        try:
            content = picture.path.read_bytes()
            pixels = Image(content).upright()
        except OSError as exc:
            return replace(picture, unreadable=exc.strerror or str(exc))
        except InvalidImage as exc:
            return replace(picture, unreadable=exc.message)
        height, width = pixels.shape[:2]
        has_shape = max(width, height) <= _CROP_SHAPE * min(width, height)
        picture = replace(
            picture, sha256=hashlib.sha256(content).hexdigest(), may_be_crop=has_shape, is_crop=is_crop, problem=""
        )
        faces = [_whole(width, height)] if is_crop else self._find(pixels)
        if len(faces) != 1:
            return replace(picture, problem=f"{len(faces)} faces" if faces else NO_FACE)
        (face,) = faces
        picture = replace(picture, face_share=face.width * face.height / (width * height))
        return self._with_features(picture, pixels, face)

    def _with_features(self, picture: Picture, pixels: Pixels, face: Face) -> Picture:
        crop = face.framed("haar").crop(pixels)
        if quality(crop).sharpness < MIN_SHARPNESS:
            return replace(picture, problem=BLURRED, thumbnail=_thumbnail(crop))
        return replace(
            picture,
            features=self._recipe.training_views(pixels, face),
            identity=self._embedding.views(pixels, face)[0],
            thumbnail=_thumbnail(crop),
        )


def _whole(width: int, height: int) -> Face:
    return Face(0, 0, width, height, detector="yunet" if height > _TALL * width else "haar")


def _thumbnail(crop: Pixels) -> bytes:
    small = cv2.resize(crop, (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small[:, :, ::-1])[1])


def _check_folders(folder: Path, pictures: Mapping[str, Sequence[Path]]) -> None:
    names = sorted(pictures)
    if not names:
        raise TrainingError(f"{folder} has no pictures. Put each person's into a folder: {folder}/Ada_Lovelace/1.jpg.")
    if len(names) == 1:
        raise TrainingError(f"{folder} has pictures of one person, {names[0]}. A classifier needs two or more.")
    by_id: dict[str, str] = {}
    for name in names:
        person_id = person_of(name).person_id
        if not person_id:
            raise TrainingError(f"The folder name {name!r} has no letter or digit to name a person with.")
        if person_id in by_id:
            raise TrainingError(f"The folders {by_id[person_id]!a} and {name!a} are the same person, {person_id}.")
        by_id[person_id] = name
    if sum(len(own) >= MIN_FACES for own in pictures.values()) < 2:  # noqa: PLR2004 - a choice needs two
        raise too_few({name: len(own) for name, own in pictures.items()})
