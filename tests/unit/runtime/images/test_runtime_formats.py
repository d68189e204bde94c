"""Files in other formats than JPEG, PNG and WebP: refused by the name of what they are."""

import io

import pytest
from PIL import Image as Pillow

from services.runtime.errors import InvalidImage
from services.runtime.images.image import Image


def _iso(*brands: bytes) -> bytes:
    """Return the beginning of a file in ISO's base media file format."""
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return (4 + len(body)).to_bytes(4, "big") + body + bytes(64)


def _encoded(form: str) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (64, 48), "red").save(buffer, form)
    return buffer.getvalue()


PICTURES = {
    "HEIC": _iso(b"heic", b"mif1", b"heic"),
    "HEIC of several pictures": _iso(b"mif1", b"heic"),
    "AVIF": _iso(b"avif", b"mif1", b"miaf"),
    "AVIF.": _iso(b"mif1", b"avif"),
    "HEIF": _iso(b"mif1"),
    "CR3": _iso(b"crx ", b"isom"),
    "AVIF by Pillow": _encoded("AVIF"),
    "GIF": _encoded("GIF"),
    "BMP": _encoded("BMP"),
    "TIFF": _encoded("TIFF"),
    "TIFF, most significant byte first": b"MM\0*" + bytes(64),
    "DNG": b"II*\0" + bytes(64),
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(64),
    "JPEG XL": b"\xff\x0a" + bytes(64),
    "JPEG XL in a container": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64),
    "JPEG 2000": _encoded("JPEG2000"),
    "PSD": b"8BPS\0\x01" + bytes(64),
    "SVG": b'<?xml version="1.0"?>\n<!-- a drawing -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "SVG in Latin-1": b"<?xml version='1.0' encoding='latin1'?><!DOCTYPE svg [<!ENTITY a '>'>]><!-- \xe9 --><svg:svg/>",
    "SVG after a byte order mark": b"\xef\xbb\xbf<!-- <html> -->\r\n<SVG>",
    "ICO": _encoded("ICO"),
    "CUR": b"\0\0\x02\0\x01\0" + bytes(64),
    "HEIF of one picture": _iso(b"miaf"),
    "JPEG XR": b"II\xbc\x01" + bytes(64),
    "XCF": b"gimp xcf v011\0" + bytes(64),
    "DICOM": bytes(128) + b"DICM",
    "raw, by Olympus": b"MMOR\0\0\0\x08" + bytes(64),
    "Netpbm": _encoded("PPM"),
}
OTHERS = {
    "MP4": (_iso(b"isom", b"iso2", b"mp41"), "a JPEG picture"),
    "MOV": (_iso(b"qt  "), "a JPEG picture"),
    "MOV, older": (b"\0\0\0\x08wide\0\0\x10\0mdat", "a JPEG picture"),
    "WMV": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "a JPEG picture"),
    "MPEG": ((b"G" + bytes(187)) * 3, "a JPEG picture"),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(64), "a JPEG picture"),
    "AVI": (b"RIFF\x10\0\0\0AVI LIST", "a JPEG picture"),
    "PDF": (b"%PDF-1.7\n", "JPEG pictures"),
    "HTML": (b"\xef\xbb\xbf\r\n<!DOCTYPE html><title>404</title>", "send a JPEG"),
    "HTML with a drawing": (b"<!-- saved -->\n<html><body><svg></svg>", "send a JPEG"),
    "HTML in Latin-1": (b"<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'><title>\xe9</title>", "send a JPEG"),
    "text about <svg>": (b"An <svg> is a drawing.", "send a JPEG"),
    "office": (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(64), "one at a time"),
    "ZIP": (b"PK\x03\x04" + bytes(64), "one at a time"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "base64": (b"/9j/4AAQSkZJRgABAQ", "decode it"),
    "text": ("Grüße ".encode() * 1000, "send a JPEG"),
    "text in UTF-16": ("text".encode("utf-16"), "send a JPEG"),
}


@pytest.mark.parametrize(("name", "content"), PICTURES.items(), ids=PICTURES)
def test_another_kind_of_picture_is_named_with_what_to_do(name: str, content: bytes) -> None:
    """The message names the format, whatever the file is called, and says to convert it."""
    with pytest.raises(InvalidImage) as refused:
        _ = Image(content).info
    assert name.rstrip(".").partition(" ")[0].rstrip(",") in refused.value.message
    assert refused.value.message.endswith("convert it to JPEG, PNG or WebP.")


@pytest.mark.parametrize(("name", "content", "advice"), [(name, *case) for name, case in OTHERS.items()], ids=OTHERS)
def test_what_is_no_picture_is_named_with_what_to_do(name: str, content: bytes, advice: str) -> None:
    """Videos, documents, archives and texts are named, each with its own way out."""
    with pytest.raises(InvalidImage) as refused:
        _ = Image(content).info
    assert name.partition(" ")[0].rstrip(",") in refused.value.message
    assert advice in refused.value.message


@pytest.mark.parametrize("content", [b"\xff", bytes(64), bytes(range(256)), b"\0\0\0\x18ftyp", b"RIFF\0\0\0\0"])
def test_unknown_bytes_are_refused_as_such(content: bytes) -> None:
    """What no signature fits is no picture; a file cut within its signature is not guessed at."""
    with pytest.raises(InvalidImage, match="This is "):
        _ = Image(content).info


@pytest.mark.parametrize("start", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8 "])
def test_a_readable_format_without_its_header_is_damaged(start: bytes) -> None:
    """A file that begins as JPEG, PNG or WebP and ends there is damaged, not of another format."""
    with pytest.raises(InvalidImage, match="damaged"):
        _ = Image(start).info


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts(form: str) -> None:
    """An animated WebP or PNG is read as its first frame."""
    buffer = io.BytesIO()
    frames = [Pillow.new("RGB", (64, 48), color) for color in ("red", "blue")]
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], lossless=True)
    assert Image(buffer.getvalue()).upright()[0, 0].tolist() == [255, 0, 0]
