"""Recognizes celebrities and labels with Amazon Rekognition."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from marquee.v1 import recognizer_pb2 as pb
from services.rekognition import aws_errors
from services.rekognition.client import connect
from services.rekognition.operations import OPERATIONS
from services.rekognition.picture import Picture, prepare
from services.rekognition.prices import MICRO_USD, prices
from services.rekognition.settings import RekognitionSettings
from services.runtime import status
from services.runtime.errors import DomainError, NotReady, ObjectForbidden, OutOfTime
from services.runtime.images import Image
from services.runtime.recognizer import Options
from services.runtime.requests import Feature
from services.runtime.s3 import ObjectStore
from services.runtime.workers import Workers

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

Outcome = tuple[pb.RecognizerResult, float] | BaseException


class RekognitionRecognizer:
    """Asks Rekognition for all features of a call at the same time; each is one call that costs money."""

    name = "rekognition"
    features: tuple[Feature, ...] = tuple(OPERATIONS)

    def __init__(self, settings: RekognitionSettings) -> None:
        self._settings = settings
        self._pictures = Workers(settings.workers, settings.queue)
        self._calls = Workers(settings.rekognition_calls, settings.queue * len(self.features))
        self._store = ObjectStore(settings.s3_endpoint_url)
        self._connected: RekognitionClient | None = None

    async def load(self) -> None:
        """Finds region and credentials. Raises Misconfigured."""
        self._connected = await asyncio.to_thread(connect, self._settings)

    async def recognize(self, image: Image, options: Options) -> pb.RecognizerResult:
        """Faces with names, and labels. A feature that fails leaves the other's result; both failing raises."""
        picture, waited = await self._pictures.run(prepare, image)
        outcomes = await asyncio.gather(
            *(self._calls.run(self._ask, feature, picture, image, options) for feature in options.features),
            return_exceptions=True,
        )
        result = self._merge(options.features, outcomes)
        result.warnings.extend(picture.warnings)
        waited += max(outcome[1] for outcome in outcomes if isinstance(outcome, tuple))
        result.timings.queue.FromNanoseconds(int(waited * 1e9))
        return result

    def describe(self) -> pb.Recognizer:
        """Rekognition's API version, which is all that it tells of its models, and its prices."""
        return pb.Recognizer(models=[self._model], prices=prices(), evidence_group=self._settings.evidence_group)

    async def close(self) -> None:
        """Lets the threads end."""
        self._pictures.close()
        self._calls.close()
        if self._connected is not None:
            self._connected.close()

    @property
    def _client(self) -> "RekognitionClient":
        if self._connected is None:
            raise NotReady("rekognition is still starting. Try again in a moment.")
        return self._connected

    @property
    def _model(self) -> pb.Model:
        version = self._client.meta.service_model.api_version
        return pb.Model(name=self.name, version=version, evidence_group=self._settings.evidence_group)

    def _ask(self, feature: Feature, picture: Picture, image: Image, options: Options) -> pb.RecognizerResult:
        if options.remaining() <= 0:
            raise OutOfTime("The call's deadline passed before Rekognition was asked.")
        try:
            return OPERATIONS[feature](self._client, picture, options)
        except (BotoCoreError, ClientError) as exc:
            if aws_errors.code_of(exc) == "InvalidS3ObjectException" and image.s3_object is not None:
                raise self._explain_object(image.s3_object) from exc
            raise aws_errors.explain(exc) from exc

    def _explain_object(self, s3_object: pb.S3Object) -> DomainError:
        """Rekognition does not tell a missing object from a forbidden one; S3 does, by raising."""
        self._store.check(s3_object)
        return ObjectForbidden(
            f"Rekognition may not read s3://{s3_object.bucket}/{s3_object.key}. "
            f"The bucket has to be in its region, {self._client.meta.region_name}.",
            bucket=s3_object.bucket,
        )

    def _merge(self, features: Sequence[Feature], outcomes: Sequence[Outcome]) -> pb.RecognizerResult:
        result = pb.RecognizerResult(model=self._model)
        failures = []
        for feature, outcome in zip(features, outcomes, strict=True):
            if isinstance(outcome, tuple):
                result.MergeFrom(outcome[0])
                result.cost_micro_usd += MICRO_USD[feature]
            elif isinstance(outcome, DomainError):
                failures.append(outcome)
                result.feature_errors.add(feature=feature, status=status.from_exception(outcome))
            else:
                raise outcome
        if len(failures) == len(features):
            raise failures[0]
        return result
