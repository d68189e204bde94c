"""Install, test, change and remove Marquee in KUBECONFIG's cluster under names of every length, one after the other.

usage: PYTHONPATH=. python bench/names.py

Needs the same images as `make test-cluster`. Prints a Markdown row for each name.
"""

import time
from itertools import pairwise

from tests.cluster import cluster
from tests.cluster.releases import LONG, Release, leftovers
from tests.support.processes import wait_until

_NAMESPACE = f"{cluster.NAMESPACE}-bench-names"
_QUICK = ("defaults.drain.delaySeconds=1",)


def main() -> None:
    """Print what each took, and what is left."""
    print("| name | longest name of a Service | install | `helm test` | upgrade | uninstall, until nothing is left |")
    print("|---|---|---|---|---|---|")
    names = {
        "1 character": Release("a", _NAMESPACE, _QUICK),
        "40 characters": Release("marquee-" + "b" * 32, _NAMESPACE, _QUICK),
        "53 characters": Release(LONG, _NAMESPACE, _QUICK),
        "`fullnameOverride` of 63": Release("c", _NAMESPACE, (*_QUICK, f"fullnameOverride={'f' * 63}")),
    }
    with cluster.namespaced(_NAMESPACE):
        for what, release in names.items():
            _print(what, release)


def _print(what: str, release: Release) -> None:
    marks = [time.monotonic()]
    release.helm("install", "--wait")
    marks.append(time.monotonic())
    longest = max(len(each["metadata"]["name"]) for each in cluster.get("services", namespace=_NAMESPACE))
    release.helm("test")
    marks.append(time.monotonic())
    release.helm("upgrade", "--wait", "--set=gateway.env.MARQUEE_LOG_LEVEL=warning")
    marks.append(time.monotonic())
    release.helm("uninstall", "--wait")
    wait_until(lambda: not leftovers(_NAMESPACE))
    marks.append(time.monotonic())
    took = [f"{end - begin:.0f} s" for begin, end in pairwise(marks)]
    print(f"| {what} | {longest} | {' | '.join(took)} |", flush=True)


if __name__ == "__main__":
    main()
