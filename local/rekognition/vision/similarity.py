"""How alike two faces are, as Rekognition's 0 to 100, from the distance of dlib's embeddings.

Measured on 110 labelled faces of four actors, near-duplicates left out (1638 pairs of one person,
4317 of two): `PYTHONPATH=. python bench/rekognition/search_similarity.py FACES`.

| similarity | distance | pairs of one person kept | pairs of two taken for one |
|---|---|---|---|
| 80 | 0.600 | 99.5 % | none |
| 90 | 0.567 | 97.9 % | none |
| 99 | 0.471 | 66.1 % | none |
"""

import math

EVEN = 0.655
"""The distance of similarity 50: nearer than 99 in 100 pairs of two people, and farther than any of one."""
STEEP = 25.0
"""With it 80 is the distance 0.6 that dlib's author gives for one person."""


def similarity(distance: float) -> float:
    """0 to 100 for an L2 distance of two embeddings; to four decimals, so that a picture's is 100 to itself."""
    return round(100 / (1 + math.exp(STEEP * (distance - EVEN))), 4)
