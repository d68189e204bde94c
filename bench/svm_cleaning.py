"""Measure the time and peak memory of cleaning training pictures: synthetic embeddings, without thumbnails.

usage: PYTHONPATH=. python bench/svm_cleaning.py [PICTURES] [PEOPLE]

Prints a Markdown row. The default of 2,000 pictures of 100 people takes ten seconds.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np

from services.svm.train.cleaning import clean
from services.svm.train.pictures import Picture

_MIB = 1024


def main(pictures: int = 2000, people: int = 100) -> None:
    """Measure and print."""
    samples = synthetic(pictures, people)
    before = peak()
    begin = time.perf_counter()
    cleaned = clean(samples)
    seconds = time.perf_counter() - begin
    left_out = sum(bool(picture.problem) for picture in cleaned)
    groups = len({(picture.folder, picture.group) for picture in cleaned})
    print("| pictures | people | left out | groups | seconds | peak before | peak |\n|---|---|---|---|---|---|---|")
    sizes = f"{before:.0f} MiB | {peak():.0f} MiB"
    print(f"| {pictures} | {people} | {left_out} | {groups} | {seconds:.1f} | {sizes} |")


def synthetic(count: int, people: int) -> list[Picture]:
    """Return pictures of people 0.9 apart, in pairs of one moment; one in 200 lies in another person's folder."""
    random = np.random.default_rng(0)
    centres = random.normal(0, 0.056, (people, 128))
    moments = random.normal(0, 0.03, (count, 128))
    pictures = []
    for number in range(count):
        person = number % people
        folder = (person + (number % 200 == 0)) % people
        vector = centres[person] + moments[number - number // people % 2 * people] + random.normal(0, 0.005, 128)
        path = Path(f"{folder}/{number}.jpg")
        pictures.append(Picture(path, f"p{folder:03}", sha256=str(number), features=vector[None], identity=vector))
    return pictures


def peak() -> float:
    """Return the process's peak resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
