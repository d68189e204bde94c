"""An SVM recognizer that knows nobody in the demo's photos, and pictures to enroll."""

import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enrollment, Options
from services.runtime.people import person_id_of
from services.svm import artifact
from services.svm.gallery.enroller import SvmEnroller
from services.svm.gallery.people import Gallery, Person
from services.svm.model import Artifact, Calibration, Sigmoid
from services.svm.networks.network import DLIB, Network
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings

COLLINS, HOPPER = "Eileen Collins", "Grace Hopper"


def write_model(
    folder: Path, recipe: str = "embedding", length: int = 0, seed: int = 0, network: Network = DLIB
) -> Path:
    """Write a model of Ada and Bea, who look like nobody."""
    owners, length = np.repeat([0, 1], 4), length or network.length
    features = np.random.default_rng(seed).normal(3, 0.01, (8, length)) * np.where(owners, 1, -1)[:, np.newaxis]
    pipeline = Pipeline([("scaler", MinMaxScaler()), ("classifier", SVC(kernel="linear"))]).fit(features, owners)
    rows = features if recipe == "embedding" else np.eye(2)[owners]
    gallery = Gallery((Person("ada", "Ada"), Person("bea", "Bea")), rows, owners)
    path = folder / "model.skops"
    calibration, own = Calibration(Sigmoid(1, -9, 5), 0.4), {"network": network.id, "aligner": network.aligner}
    artifact.save(Artifact(recipe, pipeline, gallery, calibration, {}, "", **own), path)
    return path


@asynccontextmanager
async def replica(
    model: Path, gallery: Path | str = "", **settings: object
) -> AsyncIterator[tuple[SvmRecognizer, SvmEnroller]]:
    """Run a recognizer and its enroller in this event loop; yield both."""
    own = {"svm_model": str(model), "svm_gallery": str(gallery), "workers": 1} | settings
    recognizer = SvmRecognizer(SvmSettings(**own))
    await recognizer.load()
    try:
        yield recognizer, SvmEnroller(recognizer)
    finally:
        await recognizer.close()


def portrait(person: str) -> Pillow.Image:
    """Return the unchanged photo."""
    return photo(person)


def other_picture(person: str) -> Image:
    """Return the photo darkened, mirrored, shrunk and compressed again."""
    mirrored = portrait(person).transpose(Pillow.Transpose.FLIP_LEFT_RIGHT).point(lambda value: int(value * 0.8))
    return picture(mirrored.resize((mirrored.width * 4 // 5, mirrored.height * 4 // 5)), quality=60)


def picture(pixels: Pillow.Image, quality: int = 90) -> Image:
    """Return the pixels as a JPEG image."""
    buffer = io.BytesIO()
    pixels.save(buffer, "JPEG", quality=quality)
    return Image(buffer.getvalue())


def enrollment_of(
    *images: Image | Pillow.Image,
    name: str = COLLINS,
    person_id: str = "p1",
    collection: str = "",
    allow_similar: bool = False,
) -> Enrollment:
    """Return what a call hands to the enroller."""
    pictures = [one if isinstance(one, Image) else picture(one) for one in images]
    return Enrollment(person_id, name, pictures, collection, allow_similar=allow_similar)


def named(*images: Image | Pillow.Image, name: str = COLLINS, allow_different: bool = False) -> Enrollment:
    """Return what a call that gives no person_id hands to the enroller."""
    derived = replace(enrollment_of(*images, name=name, person_id=person_id_of(name)), is_derived=True)
    return replace(derived, allow_different=allow_different)


async def names(recognizer: SvmRecognizer, image: Image) -> list[str]:
    """Return the best candidate's name for each face; empty for a stranger."""
    result = await recognizer.recognize(image, options())
    return [face.candidates[0].display_name if face.candidates else "" for face in result.faces]


def options() -> Options:
    """Return the options of a call for names."""
    deadline = time.monotonic() + 600
    return Options("test", (pb.FEATURE_CELEBRITIES,), 10, 0, "", include_embeddings=False, deadline=deadline)


def version(recognizer: SvmRecognizer) -> str:
    """Return the version of the model in use."""
    return recognizer.describe().models[0].version
