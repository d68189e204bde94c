"""An SVM recognizer that enrolls, one that cannot, and gateways in front of them, for callers in other threads."""

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.pictures import demo_pictures, photo, variations
from marquee import Client
from services.runtime.leaf.leaf import Leaf
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings
from tests.support.processes import spawn, wait_until
from tests.support.servers import Scripted, gateway, leaf, nobody, served

_GALLERY = "gallery.npz"


@dataclass(frozen=True)
class EnrollmentServers:
    """Addresses of the servers, and the gallery's file."""

    svm: str
    mute: str
    """A recognizer that does not enroll."""
    gateway: str
    """A gateway in front of svm and mute."""
    broken: str
    """A gateway in front of svm and of `gone`, which does not answer."""
    gallery: Path

    def forget_all(self) -> None:
        """Remove everybody who is enrolled from the SVM recognizer."""
        self.gallery.unlink(missing_ok=True)
        with Client(self.svm) as client:
            wait_until(lambda: not any(person.create_time for person in client.people()[0].people))


@contextmanager
def enrollment_servers(folder: Path) -> Iterator[EnrollmentServers]:
    """Run the servers in a process of their own, so that a command's output does not contain their logs."""
    addresses = folder / "servers.json"
    command = [sys.executable, "-m", "tests.support.enrollment_servers", folder]
    with (folder / "log").open("wb") as log, spawn(command, stdout=log, stderr=log) as process:
        wait_until(lambda: addresses.exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield EnrollmentServers(**json.loads(addresses.read_text()), gallery=folder / _GALLERY)


def portraits(folder: Path) -> None:
    """Save hopper.jpg and collins.jpg with a face each, both.jpg with two, coffee.jpg with none."""
    for name, picture in demo_pictures().items():
        picture.save(folder / name)


def more_portraits(count: int) -> list[bytes]:
    """Return different pictures of Grace Hopper."""
    pictures = []
    for picture in variations(photo("Grace Hopper"), count, seed=7):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    return pictures


async def _serve(folder: Path) -> None:
    settings = SvmSettings(svm_gallery=str(folder / _GALLERY), svm_gallery_poll_seconds=0.05, workers=2)
    recognizer = SvmRecognizer(settings)
    async with AsyncExitStack() as stack:
        svm = await stack.enter_async_context(served(Leaf(recognizer, settings, SvmEnroller(recognizer))))
        mute = await stack.enter_async_context(leaf(Scripted("mute")))
        addresses = {
            "svm": svm,
            "mute": mute,
            "gateway": await stack.enter_async_context(gateway({"svm": svm, "mute": mute})),
            "broken": await stack.enter_async_context(gateway({"svm": svm, "gone": nobody()})),
        }
        (folder / "servers.new").write_text(json.dumps(addresses))
        (folder / "servers.new").rename(folder / "servers.json")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
