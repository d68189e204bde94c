"""Recognizes celebrities, labels, faces, enrolled people, text and unsafe content with Amazon Rekognition."""

import asyncio
import time
from collections.abc import Sequence
from typing import TypeAlias

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import boxes
from services.rekognition.aws.account import Account
from services.rekognition.budget.prices import prices
from services.rekognition.operations import OPERATIONS
from services.rekognition.question import Question
from services.rekognition.settings import RekognitionSettings
from services.rekognition.source import Source
from services.runtime import status
from services.runtime.errors import DomainError, NotReady, OutOfTime
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers

Ended: TypeAlias = pb.RecognizerResult | BaseException


class RekognitionRecognizer:
    """Asks Rekognition for all features of a call at the same time; each is a call, or several, that cost money."""

    name = "rekognition"
    features: tuple[Feature, ...] = tuple(OPERATIONS)

    def __init__(self, settings: RekognitionSettings) -> None:
        self._settings = settings
        self.pictures = Workers(settings.workers, settings.queue)
        self._opened: Account | None = None

    async def load(self) -> None:
        """Finds region, credentials and the table, if there is one. Raises Misconfigured, DependencyUnavailable."""
        self._opened = await asyncio.to_thread(Account, self._settings)
        self._opened.keep_up()

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """What was found. A feature that fails or is late leaves the others' results; all of them failing raises."""
        source = Source(image, self.pictures)
        await source.prepare()
        question = Question(self.account, source, options, self._settings)
        try:
            ended = await asyncio.gather(
                *(_answer(feature, question) for feature in options.features), return_exceptions=True
            )
        finally:
            question.drop()
        result = _merge(options.features, ended)
        result.model.CopyFrom(self.model)
        result.warnings[:0] = source.warnings
        result.cost_micro_usd = question.tab.micro_usd
        result.timings.queue.FromNanoseconds(int((source.queue_seconds + question.tab.queue_seconds) * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """Rekognition's API version, which is all that it tells of its models; its prices, and what was spent."""
        return pb.Recognizer(
            models=[self.model],
            prices=prices(self._settings.rekognition_prices),
            evidence_group=self._settings.evidence_group,
            spending=self.account.ledger.spending(),
            can_enroll=self.account.people is not None and bool(self._settings.rekognition_collection),
        )

    async def close(self) -> None:
        """Lets the threads end."""
        self.pictures.close()
        if self._opened is not None:
            await self._opened.close()

    @property
    def account(self) -> Account:
        """The AWS account. Raises NotReady until `load` is done."""
        if self._opened is None:
            raise NotReady("rekognition is still starting. Try again in a moment.")
        return self._opened

    @property
    def model(self) -> pb.Model:
        """What results name."""
        version = self.account.calls.api_version
        return pb.Model(name=self.name, version=version, evidence_group=self._settings.evidence_group)


async def _answer(feature: Feature, question: Question) -> pb.RecognizerResult:
    try:
        async with asyncio.timeout(question.deadline - time.monotonic()):
            return await OPERATIONS[feature](question)
    except TimeoutError:
        raise OutOfTime("Rekognition did not answer within the call's deadline.") from None


def _merge(features: Sequence[Feature], ended: Sequence[Ended]) -> pb.RecognizerResult:
    """All results as one, each face once; what failed is named in feature_errors and warnings."""
    result, faces = pb.RecognizerResult(), []
    failures = []
    for feature, one in sorted(zip(features, ended, strict=True), key=_most_detailed_first):
        if isinstance(one, pb.RecognizerResult):
            faces.append(list(one.faces))
            one.ClearField("faces")
            result.MergeFrom(one)
        elif isinstance(one, DomainError):
            failures.append(one)
            result.feature_errors.add(feature=feature, status=status.from_exception(one))
            result.warnings.append(f"{_words(feature)} failed: {one.message}")
        else:
            raise one
    if len(failures) == len(features):
        raise failures[0]
    result.faces.extend(boxes.unite(faces))
    return result


def _most_detailed_first(one: tuple[Feature, Ended]) -> bool:
    return one[0] != pb.FEATURE_FACES


def _words(feature: Feature) -> str:
    return pb.Feature.Name(feature).removeprefix("FEATURE_").replace("_", " ").lower()
