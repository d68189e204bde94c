"""The training pictures of the demo's Keras network: Celebrity and Non-Celebrity.

Two photos are few, and a network that sees them beside a handful of scenes takes anything for a celebrity that is none
of the scenes: the flag behind the people is as good a sign as their faces. So both are also put onto other backgrounds,
and what is no celebrity is made of much more: pieces of scenes in all colours, strangers' faces, and the very photos
with the face covered.
"""

import argparse
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from local.pictures import PEOPLE, SCENES, UNSEEN_SCENE, photo, picture_of, relight, scene, turn, variations

_MORE_SCENES = (
    *(("skimage", f"data/{name}") for name in ("camera.png", "cell.png", "color.png", "logo.png", "horse.png")),
    ("sklearn", "datasets/images/china.jpg"),
    ("matplotlib", "mpl-data/sample_data/Minduka_Present_Blue_Pack.png"),
)
_STRANGERS = "data/lfw_subset.npy"
"""scikit-image's: 25x25 pixels in grey, of which the first 100 are faces."""
_HEADS = {"Eileen Collins": (120, 10, 330, 300), "Grace Hopper": (130, 40, 400, 380)}
_FACES = {"Eileen Collins": (165, 40, 285, 210), "Grace Hopper": (190, 90, 350, 310)}
"""Left, top, right and bottom in the photos."""
_SIDE = 256
"""Pixels of the pictures' sides; the network takes 224."""
Random = np.random.Generator
Make = Callable[[Random], Image.Image]


class _Maker:
    """What makes pictures of each kind at random."""

    def __init__(self) -> None:
        self._scenes = [scene(name) for name in SCENES if name != UNSEEN_SCENE]
        self._scenes += [picture_of(*place) for place in _MORE_SCENES]
        self._strangers = list(_strangers())

    def celebrity(self, person: str, random: Random) -> Image.Image:
        """Return the person's head on any background."""
        head = relight(turn(photo(person).crop(_HEADS[person]), random), random)
        return _put(self.background(random), _mirrored(head, random), random, (0.45, 1.1))

    def covered(self, person: str, random: Random) -> Image.Image:
        """Return the person's photo with the face under something else."""
        picture, (left, top, right, bottom) = photo(person), _FACES[person]
        cover = self._piece(random) if random.random() < 0.6 else self._stranger(random)  # noqa: PLR2004 - a share
        cover = cover.resize((right - left, bottom - top))
        picture.paste(cover, (left, top), _oval(cover.size) if random.random() < 0.5 else None)  # noqa: PLR2004
        return relight(turn(picture, random), random)

    def crowd(self, random: Random) -> Image.Image:
        """Return one to three strangers on any background."""
        picture = self.background(random)
        for _ in range(random.integers(1, 4)):
            picture = _put(picture, self._stranger(random), random, (0.2, 1.0))
        return picture

    def background(self, random: Random) -> Image.Image:
        """Return a piece of a scene, at times with a piece of another in it, or blurred."""
        picture = self._piece(random).resize((_SIDE, _SIDE))
        if random.random() < 0.35:  # noqa: PLR2004 - a share
            picture = _put(picture, self._piece(random), random, (0.2, 0.9))
        if random.random() < 0.15:  # noqa: PLR2004 - likewise
            picture = picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0.5, 4))))
        return _mirrored(picture, random)

    def _piece(self, random: Random) -> Image.Image:
        whole = self._scenes[random.integers(len(self._scenes))]
        share, shape = random.uniform(0.25, 1), random.uniform(0.75, 1.33)
        width, height = (max(16, int(min(whole.size) * share * side)) for side in (shape**0.5, shape**-0.5))
        left, top = (int(random.integers(0, max(1, free))) for free in (whole.width - width, whole.height - height))
        return _coloured(
            whole.crop((left, top, min(whole.width, left + width), min(whole.height, top + height))), random
        )

    def _stranger(self, random: Random) -> Image.Image:
        face = self._strangers[random.integers(len(self._strangers))]
        return relight(_skin_coloured(face, random), random) if random.random() < 0.7 else _coloured(face, random)  # noqa: PLR2004


def write(folder: Path, count: int = 60, seed: int = 11) -> None:
    """Write FOLDER/Celebrity/*.jpg and FOLDER/Non-Celebrity/*.jpg for the Keras trainer, about 12 times `count`."""
    random, maker = np.random.default_rng(seed), _Maker()
    for number, person in enumerate(PEOPLE):
        _write(variations(photo(person), count, seed + number), folder / "Celebrity", f"{number}-photo")
        heads = (maker.celebrity(person, random) for _ in range(3 * count // 2))
        _write(heads, folder / "Celebrity", f"{number}-head")
        _write((maker.covered(person, random) for _ in range(count)), folder / "Non-Celebrity", f"{number}-covered")
    _write((maker.background(random) for _ in range(3 * count)), folder / "Non-Celebrity", "scene")
    _write((maker.crowd(random) for _ in range(2 * count)), folder / "Non-Celebrity", "crowd")


def _write(pictures: Iterator[Image.Image], folder: Path, prefix: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        picture.resize((_SIDE, _SIDE)).save(folder / f"{prefix}-{number:03}.jpg", quality=90)


def _strangers() -> Iterator[Image.Image]:
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{_STRANGERS}: install the package scikit-image")
    faces = np.load(Path(spec.submodule_search_locations[0]) / _STRANGERS)[:100]
    return (Image.fromarray((face * 255).astype(np.uint8)).convert("RGB") for face in faces)


def _skin_coloured(face: Image.Image, random: Random) -> Image.Image:
    """Return the grey face in colour: otherwise colour alone would make a celebrity."""
    tone = int(random.integers(110, 221))
    middle = (tone, int(tone * random.uniform(0.65, 0.8)), int(tone * random.uniform(0.5, 0.7)))
    return ImageOps.colorize(face.convert("L"), (25, 15, 10), (255, 240, 225), middle)


def _coloured(picture: Image.Image, random: Random) -> Image.Image:
    """Return the picture in other colours and in another light."""
    kind = random.random()
    if kind < 0.5:  # noqa: PLR2004 - a share
        hue, saturation, value = picture.convert("HSV").split()
        turned = Image.fromarray(np.asarray(hue) + np.uint8(random.integers(256)))
        picture = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    elif kind < 0.65:  # noqa: PLR2004 - likewise
        picture = ImageOps.invert(picture)
    elif kind < 0.8:  # noqa: PLR2004 - likewise
        picture = picture.convert("L").convert("RGB")
    return relight(picture, random)


def _mirrored(picture: Image.Image, random: Random) -> Image.Image:
    return ImageOps.mirror(picture) if random.random() < 0.5 else picture  # noqa: PLR2004 - one half


def _put(ground: Image.Image, picture: Image.Image, random: Random, heights: tuple[float, float]) -> Image.Image:
    """Return the ground with the picture on it, so many times as high."""
    height = int(ground.height * random.uniform(*heights))
    picture = picture.resize((max(1, picture.width * height // picture.height), height))
    free = (ground.width - picture.width, ground.height - picture.height)
    left, top = (int(random.integers(min(0, room), max(1, room + 1))) for room in free)
    ground.paste(picture, (left, top), _oval(picture.size) if random.random() < 0.6 else None)  # noqa: PLR2004
    return ground


def _oval(size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse((0, 0, *size), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(3))


def main() -> None:
    """Write the pictures: `python -m local.labels DIR`."""
    parser = argparse.ArgumentParser(prog="python -m local.labels", description="Write the Keras network's pictures.")
    parser.add_argument("folder", type=Path, help="folder to write into")
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
