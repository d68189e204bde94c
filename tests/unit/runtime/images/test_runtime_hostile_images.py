"""Files that are not pictures, damaged pictures, and pictures made to do harm."""

import struct
import tracemalloc
import zlib

import pytest
from PIL import Image as Pillow

from services.runtime.errors import DomainError, ImageMissing, ImageTooLarge, InvalidImage
from services.runtime.images.image import Image
from tests.support.pictures import damaged, encode_noise

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Pillow warns about damaged EXIF blocks, which these tests make on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def png(side: int = 8, *, before: bytes = b"", after: bytes = b"", pixels: bytes | None = None) -> bytes:
    """Return a grey PNG with extra chunks before or after its pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(side * (side + 1))) if pixels is None else pixels
    return SIGNATURE + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + after + chunk(b"IEND", b"")


def palette_png(transparency: bytes) -> bytes:
    """Return a PNG with a palette of one colour and with transparency for more."""
    header = struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", bytes(3)), (b"tRNS", transparency)]
    chunks += [(b"IDAT", zlib.compress(bytes(20))), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(name, content) for name, content in chunks)


NO_PICTURES = {
    "text": b"This is a text about a picture.",
    "one byte": b"\xff",
    "HTML": b"<html><body>404</body></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "GIF": encode_noise("GIF"),
    "TIFF": encode_noise("TIFF"),
    "BMP": encode_noise("BMP"),
    "a JPEG's first bytes": encode_noise("JPEG")[:20],
    "a PNG without size": SIGNATURE + chunk(b"IHDR", bytes(13)),
}


@pytest.mark.parametrize("content", NO_PICTURES.values(), ids=NO_PICTURES)
def test_refuses_what_is_not_a_picture(content: bytes) -> None:
    """Anything but JPEG, PNG and WebP is refused as InvalidImage by its header alone."""
    with pytest.raises(InvalidImage):
        _ = Image(content).size


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_refuses_a_truncated_picture(form: str) -> None:
    """A file that ends in the middle is InvalidImage, not half a picture."""
    content = encode_noise(form)
    with pytest.raises(InvalidImage, match="damaged"):
        Image(content[: len(content) // 2]).upright()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_verify_refuses_a_truncated_picture(form: str) -> None:
    """verify(), for recognizers that do not decode, refuses a truncated file as well."""
    content = encode_noise(form)
    with pytest.raises(InvalidImage, match="damaged"):
        Image(content[: len(content) // 2]).verify()


def test_refuses_an_empty_file() -> None:
    """An empty file is ImageMissing."""
    with pytest.raises(ImageMissing, match="0 bytes"):
        Image(b"").upright()


def test_refuses_a_file_over_15_mib() -> None:
    """A file over the limit is ImageTooLarge, even if it begins with a valid picture."""
    with pytest.raises(ImageTooLarge, match="15 MiB"):
        Image(encode_noise("JPEG") + bytes(15 * 1024 * 1024)).upright()


def test_refuses_a_bomb_undecoded() -> None:
    """A small PNG of 100 megapixels is ImageTooLarge before any pixel is unpacked."""
    bomb = png(10_000, pixels=zlib.compress(bytes(10_000 * 10_001), 1))
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLarge, match="10000x10000 pixels"):
            Image(bomb).upright()
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


TOO_MUCH_TEXT = {
    "one compressed text": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10_000_000))),
    "many compressed texts": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000))) * 100,
    "a compressed colour profile": chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10_000_000))),
}


@pytest.mark.parametrize("before", TOO_MUCH_TEXT.values(), ids=TOO_MUCH_TEXT)
def test_refuses_texts_that_unpack_to_megabytes(before: bytes) -> None:
    """A small PNG whose texts unpack to megabytes is InvalidImage."""
    with pytest.raises(InvalidImage):
        Image(png(before=before)).upright()


EXIF = {
    "no TIFF": b"junkjunk",
    "nothing": b"",
    "half a header": b"II*\0",
    "no entries": b"II*\0\x08\0\0\0\xff\xff",
    "a directory that contains itself": b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0",
    "a text for an orientation": b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0",
    "a fraction for an orientation": b"II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\x08\0\0\0\0\0\0\0",
    "an orientation of 99": b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
}


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("exif", EXIF.values(), ids=EXIF)
def test_damaged_exif_turns_nothing(form: str, exif: bytes) -> None:
    """A picture with a damaged EXIF block is still read, and shown as stored."""
    image = Image(encode_noise(form, exif=b"Exif\0\0" + exif))
    assert (image.upright().shape, image.size) == ((48, 64, 3), (64, 48))


def test_damaged_resolution_does_not_hide_the_orientation() -> None:
    """A picture is turned upright even if other EXIF tags are damaged."""
    exif = b"II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x1a\x01\x03\0\x05\0\0\0\x08\0\0\0\0\0\0\0"
    assert Image(encode_noise("JPEG", exif=b"Exif\0\0" + exif)).upright().shape == (64, 48, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_colour_profile_does_not_matter(form: str) -> None:
    """A damaged colour profile does no harm, as no colour profile is applied."""
    assert Image(encode_noise(form, icc_profile=b"junk" * 1000)).upright().shape == (48, 64, 3)


DAMAGED_CHUNKS = {
    "a profile behind the pixels": png(after=chunk(b"iCCP", b"")),
    "transparency for colours that are not there": palette_png(bytes(range(256)) * 3),
    "a checksum that does not fit": png().replace(b"IDAT", b"IDAU"),
}


@pytest.mark.parametrize("content", DAMAGED_CHUNKS.values(), ids=DAMAGED_CHUNKS)
def test_refuses_damaged_chunks(content: bytes) -> None:
    """A PNG whose parts contradict each other is InvalidImage."""
    with pytest.raises(InvalidImage):
        Image(content).upright()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "MPO"])
def test_any_damage_is_a_domain_error(form: str) -> None:
    """Whatever bytes are changed, reading fails, if at all, with an error about the picture, never one on our side."""
    exif = Pillow.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    sound = encode_noise(form, exif=exif, save_all=form == "MPO")
    for content in damaged(sound, within=600):
        try:
            _ = Image(content).info
            Image(content).upright()
        except DomainError:
            continue
