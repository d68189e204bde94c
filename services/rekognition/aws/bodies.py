"""Pictures on their way into request bodies, past botocore's JSON encoder.

That one looks at each character of a picture's base64, though none needs escaping: 0.7 of the 2.6 ms of processor
time that a call with 170 KB takes.
"""

from typing import Any

import pybase64
from botocore.hooks import BaseEventHooks

_CONTENT = "marquee_image"


def register(events: BaseEventHooks) -> None:
    """From now on writes the parameter `Image` into a client's bodies itself, where it has bytes.

    Only for a client that does not validate parameters: it would miss the picture.
    See https://docs.aws.amazon.com/boto3/latest/guide/events.html
    """
    events.register("provide-client-params.rekognition", _take_out)
    events.register("before-call.rekognition", _put_in)


def _take_out(params: dict[str, Any], context: dict[str, Any], **_: Any) -> Any:
    """The parameters without the picture; None: as they are."""
    content = params.get("Image", {}).get("Bytes")
    if content is None:
        return None
    context[_CONTENT] = content
    return {name: value for name, value in params.items() if name != "Image"}


def _put_in(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    content = context.pop(_CONTENT, None)
    if content is not None:
        rest = b"}" if params["body"] == b"{}" else b", " + params["body"][1:]
        params["body"] = b"".join((b'{"Image": {"Bytes": "', pybase64.b64encode(content), b'"}', rest))
