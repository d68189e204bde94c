"""An SVM recognizer that enrolls, one that cannot, and gateways before them, served for callers of other threads."""

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.pictures import demo_pictures, photo, variations
from marquee import Client
from services.runtime.leaf import Leaf
from services.svm.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings
from tests.unit.gateways import gateway, nobody
from tests.unit.leaves import Scripted, leaf, served


@dataclass(frozen=True)
class EnrollmentServers:
    """Their addresses, and the file that holds the gallery."""

    svm: str
    mute: str
    """Does not enroll."""
    gateway: str
    """Before svm and mute."""
    broken: str
    """A gateway before svm, and gone, which does not answer."""
    gallery: Path

    def forget_all(self) -> None:
        """Nobody is enrolled afterwards."""
        self.gallery.unlink(missing_ok=True)
        with Client(self.svm) as client:
            end = time.monotonic() + 10
            while any(person.create_time for person in client.people()[0].people):
                assert time.monotonic() < end
                time.sleep(0.02)


@contextmanager
def enrollment_servers(folder: Path) -> Iterator[EnrollmentServers]:
    """Serves them in a thread of their own."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(_start(stack, folder / "gallery.npz"), loop).result(60)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def portraits(folder: Path) -> None:
    """hopper.jpg and collins.jpg with a face each, both.jpg with two, coffee.jpg with none."""
    for name, picture in demo_pictures().items():
        picture.save(folder / name)


def more_portraits(count: int) -> list[bytes]:
    """So many different pictures of Grace Hopper."""
    pictures = []
    for picture in variations(photo("Grace Hopper"), count, seed=7):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    return pictures


async def _start(stack: AsyncExitStack, gallery: Path) -> EnrollmentServers:
    settings = SvmSettings(svm_gallery=str(gallery), svm_gallery_poll_seconds=0.05, workers=2)
    recognizer = SvmRecognizer(settings)
    svm = await stack.enter_async_context(served(Leaf(recognizer, settings, SvmEnroller(recognizer))))
    mute = await stack.enter_async_context(leaf(Scripted("mute")))
    return EnrollmentServers(
        svm=svm,
        mute=mute,
        gateway=await stack.enter_async_context(gateway({"svm": svm, "mute": mute})),
        broken=await stack.enter_async_context(gateway({"svm": svm, "gone": nobody()})),
        gallery=gallery,
    )
