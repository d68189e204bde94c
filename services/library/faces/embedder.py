"""Embedders: the recognizers that give embeddings, asked through the gateway."""

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

from marquee.v1 import recognizer_pb2 as pb
from services.library.work.gateway import LIST_RECOGNIZERS, RECOGNIZE_IMAGE, CallFailed, Gateway, Method
from services.runtime.doors.caller import current
from services.runtime.errors import DependencyUnavailable, InvalidRequest
from services.runtime.requests import check_names
from services.runtime.status import StatusError

R = TypeVar("R", bound=Message)
_AWAY = "The gateway cannot be reached. Try again later."


class Embedder:
    """Asks recognizers for embeddings, for the caller who waits and at their expense."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def names(self, *, of_boxes: bool = False) -> list[str]:
        """Return the recognizers that give embeddings; of faces in given boxes, if so asked.

        Raises DependencyUnavailable, also if there are none, and StatusError for what the gateway says.
        """
        listed = (await self._call(LIST_RECOGNIZERS, pb.ListRecognizersRequest())).recognizers
        names = [one.name for one in listed if one.gives_embeddings and (one.takes_face_boxes or not of_boxes)]
        if not names:
            what = "embeds given faces" if of_boxes else "gives embeddings"
            raise DependencyUnavailable(f"No recognizer {what}, or none that answers now.", dependency="recognizer")
        return names

    async def name(self, wanted: str) -> str:
        """Return the name of a recognizer that embeds faces in given boxes; if none is wanted, of the only one.

        Raises UnknownRecognizer, InvalidRequest if there are several, and what `names` raises.
        """
        names = await self.names(of_boxes=True)
        if wanted:
            check_names([wanted], names, "recognizer")
        elif len(names) > 1:
            raise InvalidRequest(f"Several recognizers embed given faces: {', '.join(names)}.", field="recognizer")
        return wanted or names[0]

    async def recognize(
        self, image: pb.Image, names: Sequence[str], boxes: Sequence[pb.BoundingBox] = ()
    ) -> pb.RecognizeImageResponse:
        """Return what these recognizers say of the faces of a picture, or of those in the boxes.

        Raises DependencyUnavailable, and StatusError for what the gateway says.
        """
        features = [pb.FEATURE_CELEBRITIES, pb.FEATURE_FACES]
        request = pb.RecognizeImageRequest(image=image, recognizers=names, features=features, face_boxes=boxes)
        request.include_embeddings = True
        return await self._call(RECOGNIZE_IMAGE, request)

    async def _call(self, method: Method[R], request: Message) -> R:
        try:
            await self._gateway.ready()
            return await self._gateway.call(method, request, current().name, current().daily_micro_usd)
        except DependencyUnavailable:
            raise DependencyUnavailable(_AWAY, dependency="gateway") from None
        except CallFailed as exc:
            raise StatusError(exc.status) from None
