"""The services by name: the one list that builds, locks, documents, runs and tests each of them.

`python -m services.names` prints it for the Makefile; that takes no packages.
"""

from importlib import import_module

RECOGNIZERS = ("rekognition", "keras", "svm")
SERVERS = ("gateway", *RECOGNIZERS)
"""The servers of the contract."""
SERVICES = (*SERVERS, "web", "library")


def settings_of(service: str) -> list[type]:
    """Return the classes that the service's settings module defines, the service's own first."""
    module = import_module(f"services.{service}.settings")
    kinds = [value for value in vars(module).values() if isinstance(value, type)]
    return [kind for kind in kinds if kind.__module__ == module.__name__]


if __name__ == "__main__":
    print(*SERVICES)  # noqa: T201
