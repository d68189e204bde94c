"""The demo's pictures, made from public-domain photos that ship with packages.

Eileen Collins ships with scikit-image, Grace Hopper with matplotlib, and scenes without a face with
scikit-image. Training and demo pictures are made by different transforms with different seeds.
"""

import argparse
import io
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

PEOPLE = {
    "Eileen Collins": ("skimage", "data/astronaut.png"),
    "Grace Hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
SCENES = (
    *("brick.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png", "retina.jpg"),
    *("rocket.jpg", "text.png"),
)
UNSEEN_SCENE = "coffee.png"
"""The demo's picture without a face, kept out of every training set."""


def photo(person: str) -> Image.Image:
    """Return the unchanged photo of one of PEOPLE."""
    return _open(*PEOPLE[person])


def scene(name: str) -> Image.Image:
    """Return one of SCENES: a picture that shows nobody."""
    return _open("skimage", f"data/{name}")


def variations(picture: Image.Image, count: int, seed: int) -> Iterator[Image.Image]:
    """Yield training pictures: the picture rotated a little, cropped, relit and recompressed at random."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield _recompress(_relight(_crop(_turn(picture, random), random), random), int(random.integers(60, 96)))


def demo_pictures() -> dict[str, Image.Image]:
    """Return pictures to recognize by file name; mirrored, relit and cropped unlike any training picture."""
    eileen, hopper = photo("Eileen Collins"), photo("Grace Hopper")
    both = _side_by_side(eileen.crop((60, 0, 420, 400)), hopper.crop((40, 40, 480, 529)))
    return {
        "collins.jpg": _recompress(ImageEnhance.Brightness(ImageOps.mirror(eileen)).enhance(0.8), 55),
        "hopper.jpg": _recompress(ImageEnhance.Contrast(hopper.crop((30, 20, 490, 560))).enhance(1.25), 50),
        "both.jpg": _recompress(both, 70),
        "coffee.jpg": _recompress(ImageOps.mirror(scene(UNSEEN_SCENE)), 75),
    }


def write_demo(folder: Path) -> list[Path]:
    """Write the demo's pictures into the folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, picture in demo_pictures().items():
        picture.save(folder / name, quality=90)
        paths.append(folder / name)
    return paths


def write_gallery(folder: Path) -> None:
    """Write one picture per person to FOLDER/NAME/1.jpg, the gallery of the Rekognition endpoint."""
    for person in PEOPLE:
        (folder / person).mkdir(parents=True, exist_ok=True)
        photo(person).save(folder / person / "1.jpg", quality=92)


def write_training_people(folder: Path, count: int = 40, seed: int = 7) -> None:
    """Write FOLDER/NAME/*.jpg for the SVM trainer."""
    for number, person in enumerate(PEOPLE):
        _write(variations(photo(person), count, seed + number), folder / person)


def write_variations(portraits: Path, folder: Path, count: int = 12, seed: int = 17) -> None:
    """Write FOLDER/NAME/*.jpg for the SVM trainer: variations of each PORTRAITS/NAME/*.jpg."""
    for number, path in enumerate(sorted(portraits.glob("*/*.jpg"))):
        _write(variations(Image.open(path).convert("RGB"), count, seed + number), folder / path.parent.name, path.stem)


def write_training_labels(folder: Path, count: int = 120, seed: int = 11) -> None:
    """Write FOLDER/Celebrity/*.jpg and FOLDER/Non-Celebrity/*.jpg for the Keras trainer."""
    for number, person in enumerate(PEOPLE):
        _write(variations(photo(person), count, seed + number), folder / "Celebrity", prefix=f"{number}-")
    scenes = [name for name in SCENES if name != UNSEEN_SCENE]
    each = len(PEOPLE) * count // len(scenes)
    for number, name in enumerate(scenes):
        pictures = variations(scene(name), each, seed + 100 + number)
        _write(pictures, folder / "Non-Celebrity", prefix=f"{number}-")


def _open(package: str, path: str) -> Image.Image:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{path}: install the package {package}")
    return Image.open(Path(spec.submodule_search_locations[0]) / path).convert("RGB")


def _write(pictures: Iterator[Image.Image], folder: Path, prefix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{prefix}{number:03}.jpg", quality=92)


def _turn(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    return picture.rotate(float(random.uniform(-8, 8)), Image.Resampling.BICUBIC)


def _crop(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Crop 0 to 12 % off each edge, which leaves the photos' faces inside."""
    width, height = picture.size
    left, top, right, bottom = random.uniform(0, 0.12, 4)
    return picture.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))


def _relight(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    brighter = ImageEnhance.Brightness(picture).enhance(float(random.uniform(0.7, 1.3)))
    return ImageEnhance.Contrast(brighter).enhance(float(random.uniform(0.8, 1.2)))


def _recompress(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    height = min(left.height, right.height)
    left, right = (
        picture.resize((round(picture.width * height / picture.height), height)) for picture in (left, right)
    )
    both = Image.new("RGB", (left.width + right.width, height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def main() -> None:
    """Write one of the sets: `python -m local.pictures people DIR`."""
    sets = {
        "demo": write_demo,
        "gallery": write_gallery,
        "labels": write_training_labels,
        "people": write_training_people,
    }
    parser = argparse.ArgumentParser(prog="python -m local.pictures", description="Write a set of the demo's pictures.")
    parser.add_argument(
        "set", choices=sets, help="demo, gallery, or the training set of Keras (labels) or the SVM (people)"
    )
    parser.add_argument("folder", type=Path, help="folder to write into")
    parser.add_argument(
        "--portraits", type=Path, metavar="DIR", help="write variations of these people instead: DIR/NAME/*.jpg"
    )
    parser.add_argument("--count", type=int, help="variations of each photo in a training set")
    args = parser.parse_args()
    count = {"count": args.count} if args.count else {}
    if args.portraits:
        write_variations(args.portraits, args.folder, **count)
    else:
        sets[args.set](args.folder, **count)


if __name__ == "__main__":
    main()
