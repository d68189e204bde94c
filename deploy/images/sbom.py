"""The bill of materials of an image: its locked packages, Python, and Debian's packages as dpkg's list has them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from packageurl import PackageURL

Json = dict[str, Any]
_CONTENTS = """
import json, pathlib, platform
debian = platform.freedesktop_os_release()["VERSION_ID"]
packages = pathlib.Path("/var/lib/dpkg/status").read_text()
print(json.dumps({"python": platform.python_version(), "debian": debian, "packages": packages}))
"""


def contents(image: str) -> dict[str, str]:
    """Return the image's versions of Python and Debian and dpkg's list; nothing if this machine does not have it."""
    docker = shutil.which("docker")
    if docker is None or _run(docker, "image", "inspect", image).returncode:
        return {}
    done = _run(docker, "run", "--rm", "--network=none", "--entrypoint=python", image, "-c", _CONTENTS)
    done.check_returncode()
    found: dict[str, str] = json.loads(done.stdout)
    return found


def of_image(image: str, locked: Json, found: dict[str, str]) -> Json:
    """Return CycloneDX of what an image has: the locked packages' bill, with the image's own packages in it."""
    name, _, version = image.rpartition(":")
    subject = {"type": "container", "bom-ref": image, "name": name, "version": version}
    added = [_python(found["python"]), *_debian(found["packages"], found["debian"])]
    dependencies = [*locked["dependencies"], *({"ref": each["bom-ref"]} for each in (subject, *added))]
    return locked | {
        "metadata": locked["metadata"] | {"component": subject},
        "components": [*locked["components"], *added],
        "dependencies": [each for each in dependencies if each["ref"] != locked["metadata"]["component"]["bom-ref"]],
    }


def _python(version: str) -> Json:
    cpe = f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"
    return _component(PackageURL("generic", None, "python", version), type="application", cpe=cpe)


def _debian(packages: str, release: str) -> Iterator[Json]:
    for entry in packages.strip().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Source): (.*)$", entry, re.MULTILINE))
        qualifiers = {"arch": fields["Architecture"], "distro": f"debian-{release}"}
        if "Source" in fields:
            qualifiers["upstream"] = fields["Source"].partition(" ")[0]
        yield _component(PackageURL("deb", "debian", fields["Package"], fields["Version"], qualifiers))


def _component(purl: PackageURL, **fields: str) -> Json:
    text = purl.to_string()
    return {"type": "library", "bom-ref": text, "name": purl.name, "version": purl.version, "purl": text} | fields


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own images
