"""Pictures that a browser or curl uploads: a form with a file in it, or the file alone."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, ImmutableMultiDict, UploadFile
from starlette.requests import Request

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import ImageMissing, ImageTooLarge, InvalidRequest
from services.runtime.limits import MAX_IMAGE_BYTES, MIB
from services.runtime.status import CONTROL_IN_NAME
from services.web.access import visit

_URLENCODED = b"application/x-www-form-urlencoded"
_MULTIPART = b"multipart/form-data"
_S3 = "s3://"
_MAX_FILE_NAME = 100
_MAX_FIELDS = 100
_TEXT = frozenset((*range(0x20, 0x7F), *b"\t\r\n"))
_SNIFFED_BYTES = 64


@dataclass(frozen=True)
class Upload:
    """What was sent: a picture, and fields around it."""

    image: pb.Image
    fields: ImmutableMultiDict[str, str]
    """Of the query and of the form."""
    file_name: str = ""
    """As the browser names it, without folders and control characters; only to be shown, escaped."""


async def read_upload(request: Request) -> Upload:
    """Return the picture: the form's file `image`, the body itself, or what the field `s3` names, s3://bucket/key.

    Raises ForeignRequest, ImageMissing, ImageTooLarge and InvalidRequest.
    """
    kind, _ = parse_options_header(request.headers.get("content-type"))
    if kind == _MULTIPART:
        return await _from_form(request)
    if kind == _URLENCODED and not _is_binary(await request.body()):
        return await _from_form(request)
    visit.confirm(None)
    body, fields = await request.body(), request.query_params
    return Upload(_image(body) if body else _from_s3(fields.get("s3", "")), fields)


@asynccontextmanager
async def read_form(request: Request, max_files: int = 0, max_fields: int = _MAX_FIELDS) -> AsyncIterator[FormData]:
    """Yield a form that the page itself has sent. Raises ForeignRequest, InvalidRequest and HTTPException."""
    _, parameters = parse_options_header(request.headers.get("content-type"))
    _check_charset(parameters)
    async with request.form(max_files=max_files, max_fields=max_fields) as form:
        visit.confirm(form.get("csrf_token"))
        yield form


async def read_pictures(form: FormData) -> list[tuple[pb.Image, str]]:
    """Return the pictures of a form that may have several: files `image`, each with its name, or the field `s3`.

    Raises as `read_upload` does.
    """
    files = [one for one in form.getlist("image") if isinstance(one, UploadFile) and (one.size or one.filename)]
    if files:
        return [(_image(await file.read()), _name(file.filename or "")) for file in files]
    address = form.get("s3")
    return [(_from_s3(address if isinstance(address, str) else ""), "")]


async def _from_form(request: Request) -> Upload:
    async with read_form(request, max_files=1) as form:
        items = [*request.query_params.multi_items(), *((k, v) for k, v in form.multi_items() if isinstance(v, str))]
        fields = ImmutableMultiDict(items)
        files = {name: file for name, file in form.multi_items() if isinstance(file, UploadFile)}
        file = files.get("image")
        if file is not None and (file.size or file.filename):
            return Upload(_image(await file.read()), fields, _name(file.filename or ""))
    if fields.get("image"):
        raise InvalidRequest("image is a text; send the file, as curl's -F image=@picture.jpg does.", field="image")
    if files.keys() - {"image"}:
        raise ImageMissing(f"Name the file `image`; it is named `{_name(next(iter(files)))}`.")
    return Upload(_from_s3(fields.get("s3", "")), fields)


def _is_binary(body: bytes) -> bool:
    """Return whether the body is a picture: curl's --data-binary sends one as a form, and no form has such bytes."""
    return not _TEXT.issuperset(body[:_SNIFFED_BYTES])


def _check_charset(parameters: Mapping[bytes, bytes]) -> None:
    """Raise InvalidRequest for another charset than UTF-8: some of Python's make texts that nothing else can take."""
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise InvalidRequest("Send the form in UTF-8.")


def _name(text: str) -> str:
    """Return a file's name without folders and control characters, and not longer than people read."""
    return CONTROL_IN_NAME.sub("", re.split(r"[/\\]", text)[-1]).strip()[:_MAX_FILE_NAME]


def _image(content: bytes) -> pb.Image:
    if not content:
        raise ImageMissing("Send a picture.")
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The picture has {len(content)} bytes; the limit is {MAX_IMAGE_BYTES // MIB} MiB.")
    return pb.Image(content=content)


def _from_s3(address: str) -> pb.Image:
    """Return the picture at s3://bucket/key."""
    bucket, _, key = address.strip().removeprefix(_S3).partition("/")
    if not address.strip():
        raise ImageMissing("Send a picture.")
    if not address.strip().startswith(_S3) or not bucket or not key:
        raise InvalidRequest(f"{address!r} is no address of a picture such as s3://bucket/key.")
    return pb.Image(s3_object=pb.S3Object(bucket=bucket, key=key))
