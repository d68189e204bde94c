"""Which collection a call means."""

import re

from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")


def collection_of(asked: str, settings: RekognitionSettings) -> str:
    """The asked one, or the operator's; empty where there is neither. Raises InvalidRequest for what is no name."""
    name = asked or settings.rekognition_collection
    if name and not _NAME.fullmatch(name):
        raise InvalidRequest(
            "A collection has 1 to 255 characters of A-Z a-z 0-9 _ . - in its name.", field="collection"
        )
    return name
