"""Pictures that a browser or curl uploads: a form with a file in it, or the file alone."""

from dataclasses import dataclass

from starlette.datastructures import FormData, ImmutableMultiDict, UploadFile
from starlette.requests import Request

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import ImageMissing, ImageTooLarge, InvalidRequest
from services.runtime.limits import MAX_IMAGE_BYTES, MIB
from services.web.access import visit

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_S3 = "s3://"


@dataclass(frozen=True)
class Upload:
    """What was sent: a picture, and fields around it."""

    image: pb.Image
    fields: ImmutableMultiDict[str, str]
    """Of the query and of the form."""
    file_name: str = ""
    """As the browser names it; only to be shown, escaped."""


async def read_upload(request: Request) -> Upload:
    """Return the picture: the form's file `image`, its field `s3` (`s3://bucket/key`), or the body itself.

    Raises ForeignRequest, ImageMissing, ImageTooLarge and InvalidRequest.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMS:
        return Upload(_image(await request.body()), request.query_params)
    async with request.form(max_files=1, max_fields=100) as form:
        visit.confirm(form.get("csrf_token"))
        items = [*request.query_params.multi_items(), *((k, v) for k, v in form.multi_items() if isinstance(v, str))]
        fields = ImmutableMultiDict(items)
        file = form.get("image")
        if isinstance(file, UploadFile) and (file.size or file.filename):
            return Upload(_image(await file.read()), fields, file.filename or "")
    return Upload(pb.Image(s3_object=_s3_object(fields.get("s3", ""))), fields)


async def read_pictures(form: FormData) -> list[tuple[pb.Image, str]]:
    """Return the pictures of a form that may have several: files `image`, each with its name, or the field `s3`.

    Raises as `read_upload` does.
    """
    files = [one for one in form.getlist("image") if isinstance(one, UploadFile) and (one.size or one.filename)]
    if files:
        return [(_image(await file.read()), file.filename or "") for file in files]
    address = form.get("s3")
    return [(pb.Image(s3_object=_s3_object(address if isinstance(address, str) else "")), "")]


def _image(content: bytes) -> pb.Image:
    if not content:
        raise ImageMissing("Send a picture.")
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The picture has {len(content)} bytes; the limit is {MAX_IMAGE_BYTES // MIB} MiB.")
    return pb.Image(content=content)


def _s3_object(address: str) -> pb.S3Object:
    bucket, _, key = address.strip().removeprefix(_S3).partition("/")
    if not address.strip():
        raise ImageMissing("Send a picture.")
    if not address.strip().startswith(_S3) or not bucket or not key:
        raise InvalidRequest(f"{address!r} is no address of a picture such as s3://bucket/key.")
    return pb.S3Object(bucket=bucket, key=key)
