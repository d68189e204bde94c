"""Tests of the images' contents."""

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from helm.generate import ROOT
from services.names import RECOGNIZERS, SERVICES
from tests.support.processes import run

pytestmark = pytest.mark.slow

SLIM = ROOT / "deploy" / "images" / "slim"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_a_services_image_has_only_what_it_needs() -> None:
    """A service's image has its own packages and code, the contract and the runtime, and nothing else."""
    copies = re.findall(r"^COPY (?:--from=(\S+) )?(\S+)", _stage("service"), re.MULTILINE)
    assert copies == [
        ("service-packages", "/opt/packages"),
        ("", "marquee/v1"),
        ("", "services/runtime"),
        ("", "services/${SERVICE}"),
    ]
    assert "ARG PACKAGES=${SERVICE}\nCOPY requirements/${PACKAGES}.txt" in _stage("service-packages")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_its_lock_file(service: str) -> None:
    """Every listed service can be built: its folder has a __main__.py, and its packages are locked."""
    assert (ROOT / "services" / service / "__main__.py").exists()
    assert (ROOT / "requirements" / f"{service}.txt").exists()


def test_every_service_is_listed() -> None:
    """Every folder with a recognizer is in the list by which services are built, locked, documented and tested."""
    folders = {path.parent.name for path in (ROOT / "services").glob("*/recognizer.py")}
    assert folders == set(RECOGNIZERS)


def test_images_do_not_run_as_root() -> None:
    """Every target's last USER is nobody, as a number, because runAsNonRoot requires one."""
    for target in ("service", "local"):
        users = re.findall(r"^USER (\S+)", _stage("server") + _stage(target), re.MULTILINE)
        assert users[-1] == "65532:65532"


def test_the_pages_image_has_every_file_that_browsers_load(tmp_path: Path) -> None:
    """Of npm's packages the build sees scripts alone, which are all that the page serves."""
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    after = ignored[ignored.index("services/web/node_modules") + 1 :]
    kept = [path for line in after for path in ROOT.glob(line.removeprefix("!"))]
    web = ROOT / "services" / "web"
    for path in [
        *kept,
        web / "assets.py",
        web / "__init__.py",
        web.parent / "__init__.py",
        *(web / "static").iterdir(),
    ]:
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    assert {path.suffix for path in kept} == {".js"}
    read = [sys.executable, "-c", "from services.web.assets import Assets; Assets()"]
    assert run(read, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}).stderr == ""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Link the packages to slim into a folder, and return it."""
    for name in ("face_recognition_models", "botocore", "cv2"):
        (place,) = find_spec(name).submodule_search_locations
        shutil.copytree(place, tmp_path / name, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _link(source: str, target: str) -> str:
    Path(target).symlink_to(source)
    return target


def test_slimming_removes_the_68_point_landmarks(packages: Path) -> None:
    """The landmark model without a commercial license is removed; the five-point model and the embedding are kept."""
    models = packages / "face_recognition_models" / "models"
    assert (models / "shape_predictor_68_face_landmarks.dat").exists()
    run([SLIM, packages]).check_returncode()
    assert sorted(path.name for path in models.glob("*.dat")) == [
        "dlib_face_recognition_resnet_model_v1.dat",
        "shape_predictor_5_face_landmarks.dat",
    ]


def test_slimming_keeps_what_servers_use(packages: Path) -> None:
    """In botocore the services in use are kept, and in OpenCV its cascades."""
    run([SLIM, packages]).check_returncode()
    services = {path.name for path in (packages / "botocore" / "data").iterdir() if path.is_dir()}
    assert {"s3", "rekognition", "dynamodb", "sts"} <= services
    assert "ec2" not in services
    assert (packages / "cv2" / "data" / "haarcascade_frontalface_default.xml").exists()
    assert (packages / "cv2" / "data" / "haarcascade_eye.xml").exists()


def test_slimming_accepts_any_packages(tmp_path: Path) -> None:
    """An image without these packages can be slimmed too."""
    (tmp_path / "package" / "tests").mkdir(parents=True)
    run([SLIM, tmp_path]).check_returncode()
    assert not (tmp_path / "package" / "tests").exists()


def _stage(name: str) -> str:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    return next(stage for stage in stages if re.match(rf"\S+ AS {name}\n", stage))
