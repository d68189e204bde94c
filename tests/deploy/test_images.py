"""What goes into the images."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from helm.generate import ROOT
from services.names import RECOGNIZERS, SERVERS
from tests.support.processes import run

pytestmark = pytest.mark.slow

SLIM = ROOT / "deploy" / "images" / "slim"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_the_image_of_a_service_has_what_it_needs_alone() -> None:
    """A service's image has its own packages and code, the contract and the runtime, and nothing else."""
    copied = re.findall(r"^COPY (?:--from=(\S+) )?(\S+)", _stage("service"), re.MULTILINE)
    assert copied == [
        ("service-packages", "/opt/packages"),
        ("", "marquee/v1"),
        ("", "services/runtime"),
        ("", "services/${SERVICE}"),
    ]
    assert "COPY requirements/${SERVICE}.txt" in _stage("service-packages")


@pytest.mark.parametrize("service", SERVERS)
def test_every_service_has_its_lock_file(service: str) -> None:
    """What is in the list of services can be built: it is a folder that runs, with locked packages."""
    assert (ROOT / "services" / service / "__main__.py").exists()
    assert (ROOT / "requirements" / f"{service}.txt").exists()


def test_every_service_is_listed() -> None:
    """A folder that runs as a server is in the list, by which it is built, locked, documented and tested."""
    folders = {path.parent.name for path in (ROOT / "services").glob("*/recognizer.py")}
    assert folders == set(RECOGNIZERS)


def test_images_do_not_run_as_root() -> None:
    """The last USER of every target is nobody, by number, as runAsNonRoot requires."""
    for target in ("service", "local"):
        users = re.findall(r"^USER (\S+)", _stage("server") + _stage(target), re.MULTILINE)
        assert users[-1] == "65532:65532"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Copy the packages that are slimmed."""
    for name in ("face_recognition_models", "botocore", "cv2"):
        (place,) = find_spec(name).submodule_search_locations
        shutil.copytree(place, tmp_path / name, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _link(source: str, target: str) -> str:
    Path(target).symlink_to(source)
    return target


def test_slimming_takes_the_68_point_landmarks(packages: Path) -> None:
    """The landmark model without a commercial license goes; the five-point one and the embedding stay."""
    models = packages / "face_recognition_models" / "models"
    assert (models / "shape_predictor_68_face_landmarks.dat").exists()
    run([SLIM, packages]).check_returncode()
    assert sorted(path.name for path in models.glob("*.dat")) == [
        "dlib_face_recognition_resnet_model_v1.dat",
        "shape_predictor_5_face_landmarks.dat",
    ]


def test_slimming_keeps_what_servers_read(packages: Path) -> None:
    """Botocore keeps the services in use, and OpenCV its cascades."""
    run([SLIM, packages]).check_returncode()
    services = {path.name for path in (packages / "botocore" / "data").iterdir() if path.is_dir()}
    assert {"s3", "rekognition", "dynamodb", "sts"} <= services
    assert "ec2" not in services
    assert (packages / "cv2" / "data" / "haarcascade_frontalface_default.xml").exists()
    assert (packages / "cv2" / "data" / "haarcascade_eye.xml").exists()


def test_slimming_fits_any_set_of_packages(tmp_path: Path) -> None:
    """A service without these packages can be slimmed, too."""
    (tmp_path / "package" / "tests").mkdir(parents=True)
    run([SLIM, tmp_path]).check_returncode()
    assert not (tmp_path / "package" / "tests").exists()


def _stage(name: str) -> str:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    return next(stage for stage in stages if re.match(rf"\S+ AS {name}\n", stage))
