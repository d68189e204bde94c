"""The similarity of two faces, as Rekognition's 0 to 100, from the distance of dlib's embeddings.

Measured on 110 labelled faces of four actors, near-duplicates left out (1638 pairs of one person,
4317 of two): `PYTHONPATH=. python bench/rekognition/search_similarity.py FACES`.

| similarity | distance | pairs of one person kept | pairs of two taken for one |
|---|---|---|---|
| 80 | 0.600 | 99.6 % | none |
| 90 | 0.567 | 98.0 % | none |
| 99 | 0.471 | 66.4 % | none |
"""

import math

_EVEN = 0.655
"""The distance of similarity 50: nearer than 99 in 100 pairs of two people, and farther than any of one."""
_STEEPNESS = 25.0
"""Puts similarity 80 at the distance 0.6 that dlib's author gives for one person."""


def similarity(distance: float) -> float:
    """Return 0 to 100 for an L2 distance of embeddings, to four decimals, so that a picture is 100 to itself."""
    return round(100 / (1 + math.exp(_STEEPNESS * (distance - _EVEN))), 4)
