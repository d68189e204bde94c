"""Recognition of celebrities, labels, faces, enrolled people, text and unsafe content with Amazon Rekognition."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import results
from services.rekognition.aws.account import Account
from services.rekognition.face_search import search_faces
from services.rekognition.picture import Picture
from services.rekognition.request import Recognition
from services.rekognition.settings import RekognitionSettings
from services.runtime import status
from services.runtime.errors import DomainError, NotReady, OutOfTime
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.workers import Workers

_Outcome: TypeAlias = pb.RecognizerResult | BaseException


class RekognitionRecognizer:
    """Recognizer that calls Rekognition for all features at once; each takes one or more calls that cost money."""

    name = "rekognition"

    def __init__(self, settings: RekognitionSettings) -> None:
        self.features: tuple[Feature, ...] = tuple(_OPERATIONS)
        self._settings = settings
        self.workers = Workers(settings.workers, settings.queue)
        self._account: Account | None = None

    async def load(self) -> None:
        """Find region, credentials and the table, if one is set. Raises Misconfigured, DependencyUnavailable."""
        self._account = await asyncio.to_thread(Account, self._settings)
        self._account.announce(self._settings)
        self._account.start_refreshing()

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Return the features' results. One that fails or is late leaves the others'; if all fail, raise."""
        picture = Picture(image, self.workers)
        await picture.prepare()
        recognition = Recognition(self.account, picture, options, self._settings)
        try:
            outcomes = await asyncio.gather(
                *(_perform(feature, recognition) for feature in options.features), return_exceptions=True
            )
        finally:
            recognition.cancel()
        result = _merge(options.features, outcomes)
        result.model.CopyFrom(self.model)
        result.warnings[:0] = picture.warnings
        result.cost_micro_usd = recognition.usage.micro_usd
        result.timings.queue.FromNanoseconds(int((picture.queue_seconds + recognition.usage.queue_seconds) * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """Return prices, spending, and Rekognition's API version, which is all that it reveals of its models."""
        account = self.account
        return pb.Recognizer(
            models=[self.model],
            prices=account.calls.prices.features(account.ledger.month_calls()),
            price_groups=account.calls.prices.groups(),
            evidence_group=self._settings.evidence_group,
            spending=account.ledger.spending(),
            can_enroll=account.people is not None and bool(self._settings.rekognition_collection),
        )

    async def close(self) -> None:
        """Let the threads end."""
        self.workers.close()
        if self._account is not None:
            await self._account.close()

    @property
    def account(self) -> Account:
        """The AWS account. Raises NotReady until `load` has returned."""
        if self._account is None:
            raise NotReady("rekognition is still starting. Try again in a moment.")
        return self._account

    @property
    def model(self) -> pb.Model:
        """The model that results name."""
        version = self.account.calls.api_version
        return pb.Model(name=self.name, version=version, evidence_group=self._settings.evidence_group)


async def _recognize_celebrities(recognition: Recognition) -> pb.RecognizerResult:
    response: Any = await recognition.ask("RecognizeCelebrities", "CelebrityFaces", recognition.picture)
    return pb.RecognizerResult(faces=results.faces(response))


async def _detect_labels(recognition: Recognition) -> pb.RecognizerResult:
    options = recognition.options
    response: Any = await recognition.ask(
        "DetectLabels",
        "Labels",
        recognition.picture,
        MaxLabels=options.max_labels,
        MinConfidence=100 * options.min_score,
    )
    return pb.RecognizerResult(labels=results.labels(response))


async def _detect_faces(recognition: Recognition) -> pb.RecognizerResult:
    response: Any = await recognition.detect_faces(recognition.settings.rekognition_face_attributes)
    return pb.RecognizerResult(faces=results.detected_faces(response))


async def _detect_text(recognition: Recognition) -> pb.RecognizerResult:
    response: Any = await recognition.ask("DetectText", "TextDetections", recognition.picture)
    return pb.RecognizerResult(texts=results.texts(response))


async def _detect_moderation_labels(recognition: Recognition) -> pb.RecognizerResult:
    threshold = 100 * recognition.options.min_score
    response: Any = await recognition.ask(
        "DetectModerationLabels", "ModerationLabels", recognition.picture, MinConfidence=threshold
    )
    return pb.RecognizerResult(moderation_labels=results.moderation_labels(response))


_OPERATIONS: Mapping[Feature, Callable[[Recognition], Awaitable[pb.RecognizerResult]]] = {
    pb.FEATURE_CELEBRITIES: _recognize_celebrities,
    pb.FEATURE_LABELS: _detect_labels,
    pb.FEATURE_FACES: _detect_faces,
    pb.FEATURE_FACE_SEARCH: search_faces,
    pb.FEATURE_TEXT: _detect_text,
    pb.FEATURE_MODERATION: _detect_moderation_labels,
}


async def _perform(feature: Feature, recognition: Recognition) -> pb.RecognizerResult:
    try:
        async with asyncio.timeout(recognition.deadline - time.monotonic()):
            return await _OPERATIONS[feature](recognition)
    except TimeoutError:
        raise OutOfTime("Rekognition did not respond within the call's deadline.") from None


def _merge(features: Sequence[Feature], outcomes: Sequence[_Outcome]) -> pb.RecognizerResult:
    """Merge the results, each face once; feature_errors and warnings name what failed."""
    result, faces = pb.RecognizerResult(), []
    failures = []
    for feature, outcome in sorted(zip(features, outcomes, strict=True), key=_most_detailed_first):
        if isinstance(outcome, pb.RecognizerResult):
            faces.append(list(outcome.faces))
            outcome.ClearField("faces")
            result.MergeFrom(outcome)
        elif isinstance(outcome, DomainError):
            failures.append(outcome)
            result.feature_errors.add(feature=feature, status=status.from_exception(outcome))
            result.warnings.append(f"{_words(feature)} failed: {outcome.message}")
        else:
            raise outcome
    if len(failures) == len(features):
        raise failures[0]
    result.faces.extend(results.unite(faces))
    return result


def _most_detailed_first(item: tuple[Feature, _Outcome]) -> bool:
    return item[0] != pb.FEATURE_FACES


def _words(feature: Feature) -> str:
    return pb.Feature.Name(feature).removeprefix("FEATURE_").replace("_", " ").lower()
