"""Detection of faces in pictures."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps

from local.pictures import demo_pictures, photo
from services.runtime.images.faces import Detection, Face
from services.runtime.images.haar import HaarFaces
from services.runtime.images.image import Pixels
from services.svm.faces.finder import FaceFinder

EILEEN = Face(176, 66, 95, 95)
GRACE = Face(147, 102, 239, 239)


class Finder:
    """A finder whose boxes are Haar's, to compare with those."""

    def __init__(self) -> None:
        self._finder = FaceFinder()

    def detection(self, pixels: Pixels, detector: str = "yunet") -> Detection:
        return self._finder.find(pixels, detector)

    def find(self, pixels: Pixels) -> list[Face]:
        return [face.framed("haar") for face in self.detection(pixels).faces]


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder()


def near(face: Face, expected: Face) -> bool:
    """Return whether the edges differ by less than a sixth of the face."""
    values = [(face.left, expected.left), (face.top, expected.top), (face.width, expected.width)]
    return all(abs(one - other) < expected.width / 6 for one, other in values)


def test_haar_finds_a_face_with_two_eyes(finder: Finder) -> None:
    """The published rule and the recognizer find Haar's face in nearly the same place; Haar gives no score."""
    pixels = np.asarray(photo("Eileen Collins"))
    assert HaarFaces().find_as_published(pixels) == [EILEEN]
    (face,) = finder.detection(pixels, "haar").faces
    assert near(face, EILEEN)
    assert (face.score, len(face.points)) == (0, 5)


def test_a_face_with_one_visible_eye(finder: Finder) -> None:
    """Haar sees one eye behind Grace Hopper's glasses and finds no face; YuNet does, and gives a score and points."""
    pixels = np.asarray(photo("Grace Hopper"))
    assert HaarFaces().find_as_published(pixels) == []
    (face,) = finder.find(pixels)
    assert near(face, GRACE)
    assert 0.86 <= face.score <= 1
    assert len(face.points) == 5


def test_both_faces_of_one_picture(finder: Finder) -> None:
    """A face with two visible eyes and another with only one are each found once, from left to right."""
    left, right = finder.find(np.asarray(demo_pictures()["both.jpg"]))
    assert near(left, Face(116, 66, 97, 97))
    assert near(right, Face(460, 56, 174, 174)) or near(right, Face(443, 50, 200, 200))


def test_no_face_in_a_cup_of_coffee(finder: Finder) -> None:
    """A picture without people has no faces."""
    assert finder.find(np.asarray(demo_pictures()["coffee.jpg"])) == []


def test_boxes_of_a_large_picture_are_full_size(finder: Finder) -> None:
    """Boxes are in pixels of the given picture, whatever size it is searched in."""
    large = photo("Eileen Collins").resize((2048, 2048))
    (face,) = finder.find(np.asarray(large))
    assert near(face, Face(*(4 * value for value in (EILEEN.left, EILEEN.top, EILEEN.width, EILEEN.height))))


def test_a_box_past_the_edge_is_clipped() -> None:
    """The box in fractions never reaches past the picture, and the crop is what is inside it."""
    picture = np.zeros((100, 200, 3), np.uint8)
    face = Face(-20, 70, 60, 50)
    box = face.box_in(picture)
    assert (box.left, box.top, box.width, box.height) == pytest.approx((0, 0.7, 0.2, 0.3))
    assert face.crop(picture).shape == (30, 40, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 12_000), (12_000, 3), (20, 20), (24, 24)])
def test_odd_pictures_have_no_face(finder: Finder, size: tuple[int, int]) -> None:
    """Pictures too small for any detector have no face and raise no error."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert finder.find(noise) == []


def test_a_small_picture_of_a_face_has_a_face(finder: Finder) -> None:
    """A crop of 60 pixels, in which Haar sees no eyes and dlib no face of its size, is searched in more detail."""
    small = photo("Grace Hopper").crop((130, 60, 410, 380)).resize((60, 68))
    assert len(finder.find(np.asarray(small))) == 1


def wall(columns: int, rows: int) -> np.ndarray:
    """Return a picture that repeats one face, every second time mirrored."""
    head = photo("Eileen Collins").crop((140, 20, 300, 220))
    picture = Image.new("RGB", (160 * columns, 200 * rows))
    for number in range(columns * rows):
        place = (number % columns * 160, number // columns * 200)
        picture.paste(ImageOps.mirror(head) if number % 2 else head, place)
    return np.asarray(picture)


def test_forty_faces_are_found(finder: Finder) -> None:
    """All of 40 faces are found, which are 48 pixels wide in the size that is searched."""
    assert len(finder.find(wall(8, 5))) == 40


def test_many_faces_come_from_left_to_right(finder: Finder) -> None:
    """Each of twelve faces in one picture is found once."""
    faces = finder.find(wall(4, 3))
    assert len(faces) == 12
    assert [face.left for face in faces] == sorted(face.left for face in faces)


def test_threads_share_a_finder(finder: Finder) -> None:
    """Concurrent threads find the same faces as a single thread."""
    pictures = [np.asarray(picture) for picture in demo_pictures().values()] * 3
    alone = [finder.find(pixels) for pixels in pictures]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(finder.find, pictures)) == alone
