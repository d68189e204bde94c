"""A folder of labelled pictures, recognizers that know them by their bytes, and answers about them."""

import json
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig
from services.gateway.evaluation.pictures import Picture
from services.gateway.evaluation.survey import Answer
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.runtime.people import person_id_of
from tests.support.pictures import jpeg
from tests.support.servers import LEFT, Scripted, face, gateway, leaf, result

PEOPLE = ("Ada Lovelace", "Grace Hopper")
Says = Callable[[str, random.Random], tuple[str, float]]
"""What a recognizer says of a picture of somebody, "" for a stranger: a name, "" for none, and its score."""


def good(person: str, chance: random.Random) -> tuple[str, float]:
    """Name known people, mostly with high scores, and a stranger of four with a low one."""
    if person:
        return person, chance.uniform(0.6, 1)
    return (PEOPLE[0], chance.uniform(0.5, 0.7)) if chance.random() < 0.25 else ("", 0)


def write_pictures(folder: Path, count: int) -> Mapping[bytes, str]:
    """Write so many different pictures of each person and of strangers; return whom each file shows."""
    owners = {}
    for number, person in enumerate((*PEOPLE, "")):
        own = folder / (person.replace(" ", "_") or "unknown")
        own.mkdir(parents=True)
        for picture in range(count):
            content = jpeg(Pillow.new("RGB", (8 + picture, 8 + number), (40 * number, 2 * picture, 90)))
            (own / f"{picture}.jpg").write_bytes(content)
            owners[content] = person
    return owners


class Witness(Scripted):
    """A recognizer that says of each picture, by its bytes, what `says` does."""

    def __init__(self, name: str, owners: Mapping[bytes, str], says: Says, price: int = 0) -> None:
        super().__init__(name, features=(pb.FEATURE_CELEBRITIES,))
        self._owners = owners
        self._says = says
        self._price = price
        self.listed = pb.Recognizer(models=[_model(name)])
        if price:
            self.listed.prices.add(feature=pb.FEATURE_CELEBRITIES, micro_usd=price)

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        self.calls.append(options)
        name, score = self._says(self._owners[image.content], random.Random(image.content))  # noqa: S311 - always the same
        said = pb.RecognizerResult(faces=[face(LEFT, name, score)], model=_model(self.name))
        said.cost_micro_usd = self._price
        return said


def printed_object(output: str) -> dict[str, Any]:
    """Return the object that a command printed; a gateway of the same process has printed its log lines around it."""
    (text,) = re.findall(r"^\{\n.*?^\}", output, re.MULTILINE | re.DOTALL)
    printed: dict[str, Any] = json.loads(text)
    return printed


@asynccontextmanager
async def witnessed(*witnesses: Witness) -> AsyncIterator[str]:
    """Serve a gateway over the recognizers; yield the address."""
    async with AsyncExitStack() as stack:
        backends = {
            one.name: BackendConfig(target=await stack.enter_async_context(leaf(one)), priced=bool(one._price))
            for one in witnesses
        }
        yield await stack.enter_async_context(gateway(backends))


def answers(says: Mapping[str, Says], count: int = 40) -> list[Answer]:
    """Return what recognizers say of so many pictures of each person and of strangers."""
    chance = random.Random(1)  # noqa: S311 - always the same
    return [
        answer(person, number, [said(name, *each(person, chance)) for name, each in says.items()])
        for person in (*PEOPLE, "")
        for number in range(count)
    ]


def answer(person: str, number: int, results: Sequence[pb.RecognizerResult]) -> Answer:
    """Return an answer about a picture of the person, of a moment of its own."""
    picture = Picture(Path(), f"{person}/{number}.jpg", person_id_of(person), f"{person} {number}")
    return Answer(picture, pb.RecognizeImageResponse(results=results))


def said(recognizer: str, name: str, score: float = 0.9) -> pb.RecognizerResult:
    """Return the result of a recognizer that found one face."""
    return result(recognizer, face(LEFT, name, score), model=_model(recognizer))


def _model(recognizer: str) -> pb.Model:
    return pb.Model(name=recognizer, version="1")
