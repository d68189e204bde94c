"""Tests of what `make release` builds. `.ci/release` installs it into empty environments."""

import hashlib
import json
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import helm_python
import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from deploy.images import sbom
from helm.generate import CHART, ROOT, version
from helm.manifests import RELEASE
from services.names import SERVICES
from tests.support.processes import run

pytestmark = pytest.mark.slow
NAME = f"marquee-{version()}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a release."""
    return release(tmp_path_factory.mktemp("release"))


def release(folder: Path, *options: str) -> Path:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "SOURCE_DATE_EPOCH": "1767225600",
        "REGISTRY": "registry.test/",
    }
    result = run([sys.executable, "deploy/release.py", "--out", folder, *options], env=environment)
    assert result.returncode == 0, result.stderr
    return folder


def test_the_checksums_name_everything(built: Path) -> None:
    """SHA256SUMS has every other file of the release, with the hash of its bytes."""
    lines = (built / "SHA256SUMS").read_text().splitlines()
    files = {path for path in built.iterdir() if path.name != "SHA256SUMS"}
    assert lines == [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(files)]


def test_two_builds_are_equal(built: Path, tmp_path: Path) -> None:
    """The same sources and the same SOURCE_DATE_EPOCH give the same bytes."""
    assert (release(tmp_path, "--unchecked") / "SHA256SUMS").read_text() == (built / "SHA256SUMS").read_text()


def test_packages_hold_the_client_alone(built: Path) -> None:
    """Neither servers, models nor pictures are in the packages."""
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        folders = {name.split("/")[0] for name in wheel.namelist()}
    assert folders == {"marquee", f"{NAME}.dist-info"}
    with tarfile.open(built / f"{NAME}.tar.gz") as sdist:
        names = {name.split("/")[1] for name in sdist.getnames()}
    known = {"marquee", "protos", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert names <= known


def test_the_readme_of_a_package_has_absolute_links(built: Path) -> None:
    """Whoever reads the README where packages are shown can follow its links and sees its pictures."""
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        metadata = message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    targets = re.findall(r"\]\(([^)\s]+)\)", str(metadata.get_payload()))
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_the_chart_renders_as_its_sources_do(built: Path) -> None:
    """The packed chart has the release's version, and renders what the checkout's chart renders."""
    assert _rendered(built / f"{NAME}.tgz") == _rendered(CHART)
    with helm_python.Chart.load(str(built / f"{NAME}.tgz")) as chart:
        assert chart.version == version()


def _rendered(chart: Path) -> dict[str, str]:
    with helm_python.Chart.load(str(chart)) as loaded:
        rendered: dict[str, str] = loaded.render({}, name=RELEASE, namespace="default")
    return rendered


def test_every_lock_has_its_bill_of_materials(built: Path) -> None:
    """An SBOM lists each package that its requirements file locks, at that version."""
    for requirements in (ROOT / "requirements").glob("*.txt"):
        locked = set(re.findall(r"(?m)^([a-z0-9.-]+)(?:\[.*\])?==([^ ]+)", requirements.read_text("utf-8")))
        bom = json.loads((built / f"{NAME}-{requirements.stem}.cdx.json").read_text("utf-8"))
        assert set(_components(bom)) == locked


def _components(bom: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for component in bom["components"]:
        yield component["name"], component["version"]


def test_an_image_s_bill_of_materials_has_debian_s_packages(built: Path) -> None:
    """The SBOM of an image adds Python and what dpkg lists, with the names by which scanners know them."""
    locked = json.loads((built / f"{NAME}-gateway.cdx.json").read_text("utf-8"))
    packages = (
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9+deb12u13\n\n"
        "Package: tzdata\nArchitecture: all\nVersion: 2026b-0+deb12u1\n\n"
    )
    bom = sbom.of_image("marquee-gateway:1", locked, {"python": "3.11.16", "debian": "12", "packages": packages})
    assert set(_components(bom)) - set(_components(locked)) == {
        ("python", "3.11.16"),
        ("libc6", "2.36-9+deb12u13"),
        ("tzdata", "2026b-0+deb12u1"),
    }
    purls = [each["purl"] for each in bom["components"]]
    assert "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12&upstream=glibc" in purls
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bom)) is None


def test_images_have_the_chart_s_names(built: Path) -> None:
    """The list has an image for each service, by the tag that the chart installs, those of others, and the base."""
    lines = (built / "images.txt").read_text().splitlines()
    names = [line.partition("@")[0] for line in lines]
    own = [f"registry.test/marquee-{name}:{version()}" for name in (*SERVICES, "local")]
    assert names[: len(own)] == own
    assert names[len(own) :] == [
        "tensorflow/serving:2.19.1",
        "tensorflow/serving:2.19.1-gpu",
        "python:3.11-slim-bookworm",
    ]


def test_notes_are_the_changelog_s(built: Path) -> None:
    """The notes hold a part of the changelog, by its kinds of changes."""
    notes = (built / "notes.md").read_text("utf-8")
    assert notes.startswith("### ")
    assert "\n## [" not in notes
    assert notes.strip() in (ROOT / "CHANGELOG.md").read_text("utf-8")
