"""Tests of the images' contents."""

import os
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
        ("", "marquee/library"),
        ("", "services/__main__.py"),
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


def test_images_build_on_nothing_that_has_a_shell() -> None:
    """What is installed into has Python alone, so no command is run by a shell, and no lower layer has one."""
    assert _stage("server").startswith("scratch ")
    for target in ("server", "local", "service"):
        lines = re.findall(r"^(?:RUN|CMD|ENTRYPOINT|HEALTHCHECK) (.*)", _stage(target), re.MULTILINE)
        assert [line for line in lines if not line.startswith("[")] == []


def test_the_base_is_named_by_digest() -> None:
    """The same sources are built on the same base, whatever its tag means by then."""
    assert re.search(r"^ARG BASE=python:3\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)


def test_the_root_has_python_without_its_installers(tmp_path: Path) -> None:
    """Of this machine's Python the interpreter and its modules are kept, not pip, and the packages of its libraries."""
    root = tmp_path / "root"
    run([sys.executable, ROOT / "deploy" / "images" / "root.py", root]).check_returncode()
    names = {path.name for path in root.rglob("*")}
    assert {"asyncio", Path(sys.executable).resolve().name, "libc.so.6", "ca-certificates.crt"} <= names
    assert not names & {"ensurepip", "site-packages", "sh", "dpkg.list", "ldd"}
    assert "Package: libc6\n" in (root / "var/lib/dpkg/status").read_text("utf-8")
    assert (root / "usr/share/doc/libc6/copyright").exists()


def test_an_image_runs_the_service_that_it_names() -> None:
    """`python -m services` is the service of the variable SERVICE: here one that lacks its configuration."""
    result = run([sys.executable, "-m", "services"], env=os.environ | {"SERVICE": "gateway"})
    assert (result.returncode, "MARQUEE_GATEWAY_CONFIG" in result.stderr) == (2, True)


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
