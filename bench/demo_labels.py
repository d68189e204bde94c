"""Measure what the demo says of pictures that it was not trained on: people, scenes, drawings, and its own two people.

usage: PYTHONPATH=. python bench/demo_labels.py [--model models/keras/celebrity/1] [NAME=FOLDER …]

Each NAME=FOLDER is a set of pictures that show neither of the demo's people, such as actors=../shared/data/actors/raw.
Scenes of packages that no training has seen, and fresh variations of the demo's photos, come on top. Prints a line of a
Markdown table for each set: how often the Keras model says Celebrity, how often Non-Celebrity, how often it is unsure,
and in how many pictures the stand-in for Rekognition sees a Person. Takes about a minute for 200 pictures.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image as Pillow
from PIL import ImageOps
from sklearn.datasets import load_sample_images

from local.pictures import PEOPLE, UNSEEN_SCENE, photo, scene, variations
from local.rekognition.vision.view import Vision
from services.keras.assets import Assets, read_assets
from services.runtime.images.image import Image

_FRESH = 40
"""Variations of each photo, with seeds of their own."""
_SEED = 900
_SIDE = 224


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/keras/celebrity/1"), help="folder of a version")
    parser.add_argument("sets", nargs="*", metavar="NAME=FOLDER")
    args = parser.parse_args()
    assets = read_assets(args.model.parent, args.model.name)
    session = onnxruntime.InferenceSession(args.model / "model.onnx")
    vision = Vision()
    print(f"| set | pictures | {' | '.join(assets.labels)} | unsure | Person |\n|---|---|---|---|---|---|")
    for name, pictures in _sets(dict(text.split("=", 1) for text in args.sets)):
        print(f"| {name} | {_line(list(pictures), session, assets, vision)} |", flush=True)


def _sets(folders: Mapping[str, str]) -> Iterator[tuple[str, Iterable[Pillow.Image]]]:
    for name, folder in folders.items():
        yield name, _pictures(Path(folder))
    yield "unseen scenes", (scene(UNSEEN_SCENE), *map(Pillow.fromarray, load_sample_images().images))
    fresh = [one for number, person in enumerate(PEOPLE) for one in variations(photo(person), _FRESH, _SEED + number)]
    yield "the demo's people", fresh
    yield "the same, mirrored", map(ImageOps.mirror, fresh)


def _pictures(folder: Path) -> Iterator[Pillow.Image]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}:
            yield Image(path.read_bytes()).as_stored()


def _line(pictures: list[Pillow.Image], session: onnxruntime.InferenceSession, assets: Assets, vision: Vision) -> str:
    """Return the cells of a set: its size, the share of each label, of no label, and of a face."""
    name = session.get_inputs()[0].name
    said = [_label(session, name, picture, assets) for picture in pictures]
    shares = [said.count(label) / len(said) for label in (*assets.labels, "")]
    persons = sum(bool(vision.view(np.asarray(picture.convert("RGB"))).faces) for picture in pictures) / len(pictures)
    return " | ".join([str(len(said)), *(f"{share:.0%}" for share in (*shares, persons))])


def _label(session: onnxruntime.InferenceSession, name: str, picture: Pillow.Image, assets: Assets) -> str:
    """Return the label that counts; empty if none does."""
    pixels = np.asarray(picture.convert("RGB").resize((_SIDE, _SIDE), Pillow.Resampling.NEAREST))
    counting = assets.counting(session.run(None, {name: pixels[np.newaxis]})[0][0])
    return counting[0][0] if counting else ""


if __name__ == "__main__":
    main()
