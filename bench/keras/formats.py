"""Fifty pictures, made from the demo's photos, in every format and mode that recognizers read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from local import pictures

_SCENES = ("chelsea.png", "rocket.jpg", "motorcycle_left.png")


def write(folder: Path) -> list[Path]:
    """Write the pictures; return their paths, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (name, picture) in enumerate(_photos()):
        for mode, suffix, options in _variants():
            path = folder / f"{number}-{name}-{mode}-{len(paths)}{suffix}"
            _in_mode(picture, mode).save(path, **options)
            paths.append(path)
    return paths


def _photos() -> Iterator[tuple[str, Image.Image]]:
    """Yield the names and pictures of five photos, some of odd sizes."""
    for person in pictures.PEOPLE:
        yield person.split()[0], pictures.photo(person)
    for name in _SCENES:
        picture = pictures.scene(name)
        yield name.partition(".")[0], picture.resize((picture.width // 2 + 1, picture.height // 3 + 2))


def _variants() -> list[tuple[str, str, dict[str, Any]]]:
    """Return the mode, suffix and save options of ten ways to store a picture."""
    rotated = Image.Exif()
    rotated[0x0112] = 6
    return [
        ("RGB", ".jpg", {"quality": 90, "subsampling": 0}),
        ("RGB", ".jpg", {"quality": 40, "progressive": True, "exif": rotated}),
        ("L", ".jpg", {"quality": 75}),
        ("CMYK", ".jpg", {"quality": 85}),
        ("RGB", ".png", {}),
        ("P", ".png", {"transparency": 3}),
        ("RGBA", ".png", {}),
        ("I;16", ".png", {}),
        ("RGB", ".webp", {"quality": 70}),
        ("RGBA", ".webp", {"lossless": True}),
    ]


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return picture.convert("L").point(lambda value: value * 256, "I").convert("I;16")
    if mode == "RGBA":
        picture.putalpha(picture.convert("L"))
        return picture
    return picture.convert(mode)
