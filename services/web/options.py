"""Options of a recognition as a form or a query gives them: fields of RecognizeImageRequest under their own names."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from starlette.datastructures import ImmutableMultiDict

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidRequest

_FIELDS = pb.RecognizeImageRequest.DESCRIPTOR.fields_by_name
OPTIONS = tuple(
    field for name, field in _FIELDS.items() if name == "request_id" or (name != "image" and field.message_type is None)
)
"""Fields that are a text, a number, a flag or a list of words; the others take JSON."""


def recognition(fields: ImmutableMultiDict[str, str], image: pb.Image) -> pb.RecognizeImageRequest:
    """Return the request for the picture. Fields of other names are left alone, and empty ones are unset.

    Lists take several fields or commas; enum values also go by their short names, as `labels` or `first_confident`.
    Raises InvalidRequest, which names the field.
    """
    request = pb.RecognizeImageRequest()
    for field in OPTIONS:
        values = [part.strip() for value in fields.getlist(field.name) for part in _parts(field, value)]
        if values := [value for value in values if value]:
            _set(request, field, values)
    request.image.CopyFrom(image)
    return request


def _parts(field: FieldDescriptor, value: str) -> Iterable[str]:
    return value.split(",") if field.is_repeated else (value,)


def _set(request: pb.RecognizeImageRequest, field: FieldDescriptor, values: list[str]) -> None:
    given = [_value(field, value) for value in values]
    try:
        json_format.ParseDict({field.name: given if field.is_repeated else given[-1]}, request)
    except json_format.ParseError:
        raise InvalidRequest(f"{field.name}: {', '.join(values)} is no value of it{_choices(field)}.") from None


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.enum_type is not None:
        name = text.upper().replace("-", "_")
        return name if name in field.enum_type.values_by_name else _prefix(field.enum_type) + name
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}.get(text.lower(), text)
    return text


def _prefix(kind: EnumDescriptor) -> str:
    return str(kind.values[0].name).removesuffix("UNSPECIFIED")


def _choices(field: FieldDescriptor) -> str:
    names = "".join(f" {name}" for name in _names(field))
    return f"; use one of:{names}" if names else ""


def _names(field: FieldDescriptor) -> Iterator[str]:
    if field.enum_type is not None:
        for value in field.enum_type.values[1:]:
            yield value.name.removeprefix(_prefix(field.enum_type)).lower()
