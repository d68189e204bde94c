"""Formats of files that are not JPEG, PNG or WebP, told by their first bytes."""

import re
from codecs import getincrementaldecoder

HEAD = 4096
"""Bytes that suffice to tell a format."""
_PICTURE = "convert it to JPEG, PNG or WebP."
_VIDEO = "send one of its frames as a JPEG picture."
_DOCUMENT = "send its pages as JPEG pictures."
_ARCHIVE = "send the pictures in it, one at a time."
_OTHER = "send a JPEG, PNG or WebP picture."
_READABLE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF.{4}WEBP", re.DOTALL)
_SIGNATURES = (
    (rb"GIF8[79]a", "a GIF picture", _PICTURE),
    (rb"BM.{4}\0{4}", "a BMP picture", _PICTURE),
    (rb"II\*\0.{4}CR", "a camera's raw picture (CR2)", _PICTURE),
    (rb"II[*+]\0|MM\0[*+]", "a TIFF or a camera's raw picture (DNG, NEF, ARW)", _PICTURE),
    (rb"FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR|II\x1a\0{3}HEAPCCDR|\0MRM|FOVb", "a camera's raw picture", _PICTURE),
    (rb"II\xbc", "a JPEG XR picture", _PICTURE),
    (rb"\xff\x0a|\0{3}\x0cJXL \r\n\x87\n", "a JPEG XL picture", _PICTURE),
    (rb"\xff\x4f\xff\x51|\0{3}\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", _PICTURE),
    (rb"8BP[SB]", "a Photoshop picture (PSD)", _PICTURE),
    (rb"gimp xcf", "a GIMP picture (XCF)", _PICTURE),
    (rb"\0\0\x01\0[^\0]\0", "an icon (ICO)", _PICTURE),
    (rb"\0\0\x02\0[^\0]\0", "a cursor (CUR)", _PICTURE),
    (rb".{128}DICM", "a DICOM picture", _PICTURE),
    (rb"P[1-7]\s", "a Netpbm picture", _PICTURE),
    (rb"RIFF.{4}AVI ", "an AVI video", _VIDEO),
    (rb"\x1aE\xdf\xa3", "a Matroska or WebM video", _VIDEO),
    (rb"\0\0\x01[\xb3\xba]|G.{187}G", "an MPEG video", _VIDEO),
    (rb".{4}(?:moov|mdat|wide|pnot)", "a QuickTime video (MOV)", _VIDEO),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video (WMV)", _VIDEO),
    (rb"FLV\x01", "a Flash video (FLV)", _VIDEO),
    (rb".{0,1000}?%PDF-", "a PDF document", _DOCUMENT),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript document", _DOCUMENT),
    (rb"PK[\x03\x05]", "a ZIP archive or an office document", _ARCHIVE),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document", _ARCHIVE),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd", "an archive", _ARCHIVE),
    (rb"version https://git-lfs", "a Git LFS pointer, not the picture", "fetch it with `git lfs pull`."),
    (rb"data:image/|/9j/|iVBORw0KGgo|UklGR", "a picture in base64", "decode it, and send the bytes."),
)
_BRANDS = (
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "a HEIC picture", _PICTURE),
    ((b"avif", b"avis"), "an AVIF picture", _PICTURE),
    ((b"mif1", b"msf1", b"miaf"), "a HEIF picture", _PICTURE),
    ((b"crx ",), "a camera's raw picture (CR3)", _PICTURE),
    ((b"qt  ",), "a QuickTime video (MOV)", _VIDEO),
)
"""Brands of ISO's base media file format, the most specific first; all others are MP4."""
_ROOT = re.compile(
    r"(?:\s|<\?.*?\?>|<!--.*?-->|<!doctype(?!\s*html)[^>\[]*(?:\[.*?\])?\s*>)*+"
    r"<(?:!doctype\s*)?(?:\w+:)?(?P<name>svg|html|head|body)\b",
    re.DOTALL | re.IGNORECASE,
)
"""First element of a drawing or page, after declarations and comments."""


def is_readable(content: bytes) -> bool:
    """Return whether the file begins as a JPEG, PNG or WebP."""
    return bool(_READABLE.match(content))


def refusal(content: bytes) -> str:
    """Return what the file is and what to do, for one that Pillow takes for none of JPEG, PNG and WebP."""
    head = content[:HEAD]
    if is_readable(head):
        return "The picture's header is damaged or cut short: send the whole file."
    known = _by_brand(head) or _by_signature(head) or _by_text(head)
    return "This is {}; {}".format(*known) if known else "This is not a JPEG, PNG or WebP picture."


def _by_signature(head: bytes) -> tuple[str, str] | None:
    known = ((name, advice) for signature, name, advice in _SIGNATURES if re.match(signature, head, re.DOTALL))
    return next(known, None)


def _by_brand(head: bytes) -> tuple[str, str] | None:
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4], "big")
    brands = {head[start : start + 4] for start in (8, *range(16, min(size, len(head)), 4))}
    known = ((name, advice) for others, name, advice in _BRANDS if brands.intersection(others))
    return next(known, ("an MP4 video", _VIDEO))


def _by_text(head: bytes) -> tuple[str, str] | None:
    text = _decoded(head)
    if root := _ROOT.match(text or head.decode("latin-1")):
        is_drawing = root["name"].lower() == "svg"
        return ("an SVG drawing", _PICTURE) if is_drawing else ("a web page (HTML), not the picture on it", _OTHER)
    is_text = text and all(character.isprintable() or character.isspace() for character in text)
    return ("a text file", _OTHER) if is_text else None


def _decoded(head: bytes) -> str:
    """Return the text in UTF-8 or UTF-16; empty if it is neither."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return getincrementaldecoder(encoding)().decode(head)  # the last character may be cut off
    except UnicodeDecodeError:
        return ""
