"""Models whose files name no detector: they were trained on Haar's boxes."""

from pathlib import Path

import numpy as np
import pytest

from local.pictures import demo_pictures
from services.svm import artifact
from services.svm.faces.finder import FaceFinder
from services.svm.model import Model
from services.svm.networks.dlib_resnet import DlibResNet
from services.svm.recipes.recipe import recipe_of

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.mark.parametrize("file", ["demo-haar.skops", "hog-lbp-haar.skops"])
def test_they_name_the_same_people(file: str, finder: FaceFinder) -> None:
    """Whom such a model named before there was another detector, it names now."""
    trained = artifact.load(FOLDER / file)
    model = Model(trained, recipe_of(trained.recipe, DlibResNet()))
    names = []
    for picture in ("collins.jpg", "hopper.jpg", "both.jpg"):
        detection = finder.find(np.asarray(demo_pictures()[picture]), model.detector)
        views = np.array([model.views(detection.pixels, face) for face in detection.faces])
        names.append([candidates[0].display_name for candidates in model.candidates(views)])
    assert names == [["Eileen Collins"], ["Grace Hopper"], ["Eileen Collins", "Grace Hopper"]]
    assert trained.detector == "haar"
