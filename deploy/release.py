"""Build a release into dist/: packages, chart, SBOMs, the list of images, notes and checksums.

usage: PYTHONPATH=. python deploy/release.py [--out DIR] [--unchecked]

The same commit gives the same bytes: times in the files are SOURCE_DATE_EPOCH's, by default the last commit's. REGISTRY
(a prefix ending in /) names the images as for `make images`. Those of this version that are on this machine get an SBOM
each, of Debian's packages, too.
"""

import argparse
import fnmatch
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from deploy.images import sbom
from helm import manifests
from helm.generate import CHART, ROOT, version
from services.names import SERVICES

SUMS = "SHA256SUMS"
IMAGES = (*SERVICES, "local")


def main() -> None:
    """Build everything, check it, and put it in the place of the release that was there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to build into (default: dist/)")
    parser.add_argument("--unchecked", action="store_true", help="do not check packages and SBOMs, which takes longest")
    options = parser.parse_args()
    out = options.out.resolve()
    os.environ.setdefault("SOURCE_DATE_EPOCH", _output("git", "log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        if not options.unchecked:
            check(Path(folder))
        _replace(Path(folder), out)
    sys.stdout.write((out / SUMS).read_text("utf-8"))


def build(out: Path) -> None:
    """Write the release's files into an empty folder. Raises ValueError."""
    name = f"marquee-{version()}"
    _python("build", "--no-isolation", "--outdir", out, ROOT)
    (out / f"{name}.tgz").write_bytes(_chart())
    for requirements in sorted((ROOT / "requirements").glob("*.txt")):
        _write_bom(requirements, out / f"{name}-{requirements.stem}.cdx.json")
    for service in IMAGES:
        if found := sbom.contents(_tag(service)):
            locked = json.loads((out / f"{name}-{service}.cdx.json").read_text("utf-8"))
            bom = json.dumps(sbom.of_image(_tag(service), locked, found), indent=2)
            (out / f"{name}-image-{service}.cdx.json").write_text(f"{bom}\n", "utf-8")
    (out / "images.txt").write_text("".join(f"{image}\n" for image in images()), "utf-8")
    (out / "notes.md").write_text(notes((ROOT / "CHANGELOG.md").read_text("utf-8"), version()), "utf-8")
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(out.iterdir()))
    (out / SUMS).write_text("".join(sums), "utf-8")


def check(built: Path) -> None:
    """Exit with what is wrong with the packages' metadata; raise ValueError if an SBOM breaks its schema."""
    _python("twine", "check", "--strict", *built.glob("*.whl"), *built.glob("*.tar.gz"))
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)  # it reads the schema once
    for path in built.glob("*.cdx.json"):
        if error := validator.validate_str(path.read_text("utf-8")):
            raise ValueError(f"{path.name} breaks its schema: {error}")


def notes(changelog: str, version: str) -> str:
    """Return the version's part of the changelog, before its release the part not yet released.

    Raises ValueError if it has neither.
    """
    parts = {part.partition("]")[0]: part.partition("\n")[2].strip() for part in changelog.split("\n## [")[1:]}
    for title in (version, "Unreleased"):
        if parts.get(title):
            return f"{parts[title]}\n"
    raise ValueError(f"CHANGELOG.md says nothing of {version}.")


def images() -> list[str]:
    """Return what an installation pulls, and last the image on which Marquee's are built."""
    return [*map(_image, IMAGES), *_foreign(), _base()]


def _chart() -> bytes:
    """Return the chart as `helm package` packs it, but with times that do not depend on when."""
    ignored = (CHART / ".helmignore").read_text("utf-8").split()
    files = [path for path in sorted(CHART.rglob("*")) if path.is_file()]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            if not any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored):
                tar.addfile(_entry(path), io.BytesIO(path.read_bytes()))
    return gzip.compress(archive.getvalue(), mtime=_epoch())


def _entry(path: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"marquee/{path.relative_to(CHART).as_posix()}")
    entry.size, entry.mtime, entry.mode = path.stat().st_size, _epoch(), 0o644
    return entry


def _write_bom(requirements: Path, out: Path) -> None:
    """Write what the locked packages are, as CycloneDX."""
    options = ("--pyproject", ROOT / "pyproject.toml", "--sv", "1.6", "--output-reproducible", "--no-validate")
    _python("cyclonedx_py", "requirements", requirements, *options, "--output-file", out)


def _tag(service: str) -> str:
    return f"{os.environ.get('REGISTRY', '')}marquee-{service}:{version()}"


def _image(service: str) -> str:
    """Return the image's name, and its digest where a registry has given it one."""
    image = _tag(service)
    docker = shutil.which("docker")
    if docker is None:
        return image
    digests = '{{join .RepoDigests "\\n"}}'
    command = [docker, "image", "inspect", "--format", digests, image]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own image
    return f"{image}@{found.stdout.split()[0].rpartition('@')[2]}" if found.stdout.strip() else image


def _foreign() -> list[str]:
    """Return the images of others that the chart installs, with and without a GPU."""
    values = ({"recognizers": {"keras": {"serving": {"gpu": gpu}}}} for gpu in (False, True))
    installed = {
        image for each in values for image in manifests.images(manifests.objects(manifests.render(CHART, each)))
    }
    return sorted(image for image in installed if not image.startswith("marquee-"))


def _base() -> str:
    """Return the image on which the others are built."""
    (base,) = re.findall(r"(?m)^ARG BASE=(.*)$", (ROOT / "Dockerfile").read_text("utf-8"))
    return str(base)


def _replace(built: Path, out: Path) -> None:
    """Move the files to their place; of an earlier release remove what its checksums name."""
    out.mkdir(parents=True, exist_ok=True)
    earlier = (out / SUMS).read_text("utf-8").splitlines() if (out / SUMS).exists() else []
    for line in earlier:
        (out / line.partition("  ")[2]).unlink(missing_ok=True)
    for path in built.iterdir():
        shutil.move(path, out / path.name)


def _epoch() -> int:
    return int(os.environ["SOURCE_DATE_EPOCH"])


def _python(module: str, *arguments: object) -> None:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own tools
    if done.returncode:
        sys.exit(f"{module} failed:\n{done.stdout}{done.stderr}")


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


if __name__ == "__main__":
    main()
