"""Compare what checkov and kube-score find with findings.yaml, which says why it stays.

usage: PYTHONPATH=. python -m tests.deploy.findings CHECKOV KUBE_SCORE

They look at the chart with every option set, the Dockerfile and the Lambda's template. It fails if they find what is
not listed, or no longer what is.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from helm import manifests
from helm.generate import CHART, ROOT
from tests.deploy import option_sets

Finding = tuple[str, str]
LISTED = ROOT / "tests" / "deploy" / "findings.yaml"
VALUES = (CHART / "values.yaml", ROOT / "deploy" / "eks" / "values.yaml", *option_sets.FILES)
_OPTIONAL = ("container-seccomp-profile", "container-ports-check")
_SEVERE = 5
"""kube-score's grade of a warning; critical is 1."""


def main() -> None:
    """Print what is found, unlisted or stale, and exit with 1 if there is any."""
    checkov, kube_score = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        render(Path(folder))
        found = {
            "checkov": set(_checkov(checkov, Path(folder))),
            "kube-score": set(_kube_score(kube_score, Path(folder))),
        }
    listed = YAML(typ="safe", pure=True).load(LISTED)
    wrong = list(_wrong(found, listed))
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    sys.exit(bool(wrong))


def render(folder: Path) -> None:
    """Write a file of objects for each file of values, in the namespace that helm would give them."""
    for path in VALUES:
        objects = manifests.objects(manifests.render(CHART, option_sets.values(path), namespace="marquee"))
        for each in objects:
            each["metadata"].setdefault("namespace", "marquee")
        text = "".join(f"---\n{json.dumps(each, indent=1)}\n" for each in objects)
        (folder / f"{path.parent.name}-{path.name}").write_text(text, "utf-8")


def _wrong(found: dict[str, set[Finding]], listed: dict[str, dict[str, str]]) -> Iterator[str]:
    for tool, findings in found.items():
        known = listed[tool]
        yield from (f"{tool}: {check} at {place}" for check, place in sorted(findings) if check not in known)
        stale = known.keys() - {check for check, _ in findings}
        yield from (f"{tool}: {check} is not found any more; take it off {LISTED.name}" for check in sorted(stale))


def _checkov(program: str, rendered: Path) -> Iterator[Finding]:
    """Yield check and resource of what fails.

    checkov replaces a reference in the template by a text with the template's path, and takes 40 letters and slashes
    in a row for an AWS key. So it reads a copy, whose path has no such row wherever the checkout is.
    """
    with tempfile.TemporaryDirectory(prefix="_", dir="/tmp") as folder:
        template = shutil.copy(ROOT / "deploy" / "lambda" / "template.yaml", folder)
        for options in (
            ("--framework=kubernetes", f"--directory={rendered}"),
            ("--framework=dockerfile", f"--file={ROOT / 'Dockerfile'}"),
            ("--framework=cloudformation", f"--file={template}"),
        ):
            report = _json(program, "--output=json", "--quiet", "--compact", "--skip-download", *options)
            yield from ((each["check_id"], each["resource"]) for each in report["results"]["failed_checks"])


def _kube_score(program: str, rendered: Path) -> Iterator[Finding]:
    """Yield test and object of what is a warning or worse."""
    options = (
        "--kubernetes-version=v1.34",
        "--ignore-container-cpu-limit",
        *(f"--enable-optional-test={name}" for name in _OPTIONAL),
    )
    for path in sorted(rendered.iterdir()):
        for each in _json(program, "score", "--output-format=json", *options, str(path)):
            failed = (one for one in each["checks"] or () if not one["skipped"] and one["grade"] <= _SEVERE)
            yield from ((one["check"]["id"], f"{path.name}: {each['object_name']}") for one in failed)


def _json(*command: str) -> Any:
    """Return what a program prints; it exits with 1 where it finds something."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
