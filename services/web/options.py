"""Options of a recognition as a form or a query gives them: fields of RecognizeImageRequest under their own names."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from starlette.datastructures import ImmutableMultiDict

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import InvalidRequest

_FIELDS = pb.RecognizeImageRequest.DESCRIPTOR.fields_by_name
OPTIONS = tuple(field for name, field in _FIELDS.items() if name != "image")
"""Fields around the picture. Those that hold messages take JSON; the others a text, a number, a flag or words."""


def recognition(fields: ImmutableMultiDict[str, str], image: pb.Image) -> pb.RecognizeImageRequest:
    """Return the request for the picture. Fields of other names are left alone, and empty ones are unset.

    Names are the protos' (`max_labels`) or JSON's (`maxLabels`). Lists take several fields or commas; enum values also
    go by their short names, as `labels` or `first_confident`. Raises InvalidRequest, which names the field.
    """
    request = pb.RecognizeImageRequest()
    for field in OPTIONS:
        texts = [text for name in dict.fromkeys(_names_of(field)) for text in fields.getlist(name)]
        values = [part.strip() for text in texts for part in _parts(field, text)]
        if values := [value for value in values if value]:
            _set(request, field, values)
    request.image.CopyFrom(image)
    return request


def check(fields: ImmutableMultiDict[str, str], others: Sequence[str]) -> None:
    """Raise InvalidRequest for a field that is no option and none of the others, and for one that has two values.

    Lists may have several.
    """
    takes_several = dict.fromkeys(others, False)
    for field in OPTIONS:
        takes_several |= dict.fromkeys(_names_of(field), _is_list(field))
    for name in fields:
        if name not in takes_several:
            names = ", ".join((*(field.name for field in OPTIONS), *others))
            raise InvalidRequest(f"There is no option {name!r}; known: {names}.", field=name)
        if not takes_several[name] and len(fields.getlist(name)) > 1:
            raise InvalidRequest(f"{name} has several values; it takes one.", field=name)


def _names_of(field: FieldDescriptor) -> tuple[str, str]:
    return field.name, field.json_name


def _parts(field: FieldDescriptor, value: str) -> Iterable[str]:
    return value.split(",") if field.is_repeated and field.message_type is None else (value,)


def _set(request: pb.RecognizeImageRequest, field: FieldDescriptor, values: list[str]) -> None:
    try:
        given = [_value(field, value) for value in values]
        json_format.ParseDict({field.name: _joined(given) if _is_list(field) else given[-1]}, request)
    except (json_format.ParseError, ValueError, RecursionError):
        raise InvalidRequest(
            f"{field.name}: {', '.join(values)} is no value of it{_choices(field)}.", field=field.name
        ) from None


def _is_list(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated and not (field.message_type and field.message_type.GetOptions().map_entry))


def _joined(values: Iterable[Any]) -> Sequence[Any]:
    """Return one list: a form has all of it in one field, or an entry in each."""
    return [entry for value in values for entry in (value if isinstance(value, list) else [value])]


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.message_type is not None:
        return json.loads(text)
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
