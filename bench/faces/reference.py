"""Compare the network's boxes and points with those of OpenCV's FaceDetectorYN, on the labelled photos.

usage: PYTHONPATH=. python bench/faces/reference.py ../shared/data/actors

Prints one line; takes half a minute.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from bench.svm_actors import labelled_faces, pixels_of
from services.runtime.images.faces import at_most
from services.runtime.images.weights import YUNET
from services.runtime.images.yunet import YuNet

SIDE, SCORE, OVERLAP = 640, 0.3, 0.3


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actors", type=Path)
    photos = sorted({face.photo for face in labelled_faces(parser.parse_args().actors)})
    network, faces, others, most = YuNet(), 0, 0, 0.0
    for photo in photos:
        pixels = at_most(pixels_of(photo), SIDE)
        size = (pixels.shape[1], pixels.shape[0])
        opencv = cv2.FaceDetectorYN.create(str(YUNET.locate()), "", size, SCORE, OVERLAP, 5000)
        _, found = opencv.detect(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        expected = np.empty((0, 15)) if found is None else found[np.argsort(-found[:, 14])]
        rows = network.detect(pixels, SCORE)
        faces, others = faces + len(rows), others + (len(rows) != len(expected))
        if len(rows) == len(expected):
            most = max(most, float(np.abs(rows - expected)[:, :14].max(initial=0)))
    print(f"{len(photos)} photos, {faces} faces; another number in {others}; moved by at most {most:.4f} pixels")


if __name__ == "__main__":
    main()
