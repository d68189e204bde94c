"""Thumbnails, hashes of pixels, and when pictures were taken."""

import io
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from marquee.library.v1 import library_pb2 as pb
from services.library.store.rendition import render, taken
from services.runtime.errors import InvalidImage

ORIENTATION, EXIF_IFD, ORIGINAL, DIGITIZED, OFFSET = 0x0112, 0x8769, 0x9003, 0x9004, 0x9011


def exif(orientation: int = 1, **fields: object) -> Pillow.Exif:
    found = Pillow.Exif()
    found[ORIENTATION] = orientation
    found.get_ifd(EXIF_IFD).update(
        {
            {"original": ORIGINAL, "digitized": DIGITIZED, "offset": OFFSET}[name]: value
            for name, value in fields.items()
        }
    )
    return found


def encoded(picture: Pillow.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int, height: int) -> Pillow.Image:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Pillow.fromarray(np.stack([across, down, np.full_like(across, 99)], axis=2).astype(np.uint8))


def test_a_thumbnail_is_small_upright_and_tells_nothing() -> None:
    """A thumbnail is WebP of 512 pixels at most, as people see the picture, and has none of its metadata."""
    tags = exif(6, original="2024:02:29 12:00:00")
    rendition = render(encoded(gradient(1200, 800), "JPEG", exif=tags, comment=b"secret"))
    small = Pillow.open(io.BytesIO(rendition.thumbnail))
    assert (small.format, small.size) == ("WEBP", (341, 512))
    assert (rendition.width, rendition.height, rendition.format) == (800, 1200, "JPEG")
    assert not small.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & small.info.keys()
    assert b"secret" not in rendition.thumbnail
    top_left = np.asarray(small.convert("RGB"))[2, 2]
    assert top_left[1] > 200  # what was the picture's lower left
    assert top_left[0] < 50


def test_a_small_picture_is_not_enlarged() -> None:
    """A picture of less than 512 pixels has a thumbnail of its own size."""
    assert Pillow.open(io.BytesIO(render(encoded(gradient(20, 10))).thumbnail)).size == (20, 10)


def test_the_same_pixels_have_one_hash() -> None:
    """The hash is of what is seen: another format, other metadata and a stored turn change nothing; a pixel does."""
    picture = gradient(30, 20)
    turned = picture.transpose(Pillow.Transpose.ROTATE_90)
    plain = render(encoded(picture)).pixel_sha256
    assert render(encoded(picture, "WEBP", lossless=True)).pixel_sha256 == plain
    assert render(encoded(picture, exif=exif(original="2024:01:01 00:00:00"))).pixel_sha256 == plain
    assert render(encoded(turned, exif=exif(6))).pixel_sha256 == plain
    assert render(encoded(turned)).pixel_sha256 != plain
    picture.putpixel((3, 3), (1, 2, 3))
    assert render(encoded(picture)).pixel_sha256 != plain


def test_a_damaged_file_is_refused() -> None:
    """What cannot be decoded is InvalidImage, with what is wrong."""
    with pytest.raises(InvalidImage):
        render(encoded(gradient(300, 200))[:500])


@pytest.mark.parametrize(
    ("fields", "when", "source"),
    [
        ({"original": "2024:02:29 23:59:59", "offset": "+02:00"}, "2024-02-29T21:59:59Z", "EXIF"),
        ({"original": "2024:02:29 23:59:59", "offset": "-11:30"}, "2024-03-01T11:29:59Z", "EXIF"),
        ({"original": "2024:02:29 23:59:59", "offset": "Z"}, "2024-02-29T23:59:59Z", "EXIF"),
        ({"original": "2024:02:29 23:59:59"}, "2024-02-29T23:59:59Z", "EXIF_LOCAL"),
        ({"original": "2024:02:29 23:59:59", "offset": "   :  "}, "2024-02-29T23:59:59Z", "EXIF_LOCAL"),
        ({"original": "2024:02:29 23:59:59", "offset": "+26:00"}, "2024-02-29T23:59:59Z", "EXIF_LOCAL"),
        ({"original": "1900:02:29 00:00:00", "digitized": "1999:01:02 03:04:05"}, "1999-01-02T03:04:05Z", "EXIF_LOCAL"),
    ],
)
def test_exif_tells_when_a_picture_was_taken(fields: dict[str, str], when: str, source: str) -> None:
    """Leap days and offsets are understood; an offset that is none is left out; a day that is none, with its field."""
    found = taken(exif(**fields))
    assert found.time == datetime.fromisoformat(when)
    assert pb.TimeSource.Name(found.source) == f"TIME_SOURCE_{source}"
    assert found.text.startswith(fields["original"])


@pytest.mark.parametrize(
    "value",
    [
        *("0000:00:00 00:00:00", "2023:02:29 00:00:00", "2024:01:01 24:00:00", "1700:01:01 00:00:00"),
        *("9999:12:31 23:59:59", "    :  :     :  :  ", "yesterday", "", "2024", "\0"),
        *(7, b"2024:01:01 00:00:00", (1, 2)),
    ],
)
def test_a_time_that_cannot_be_is_none(value: object) -> None:
    """Days that never were, times before photography or after today, and other types leave the next source to tell."""
    found = taken(exif(original=value))
    assert found.time is None
    assert found.source == pb.TIME_SOURCE_UNSPECIFIED


@given(st.datetimes(datetime(1900, 1, 1), datetime(2025, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_times_are_kept_to_the_second(when: datetime, minutes: int) -> None:
    """Whatever the time and its zone, the moment is the same."""
    zone = timezone(timedelta(minutes=minutes))
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    found = taken(exif(original=when.strftime("%Y:%m:%d %H:%M:%S"), offset=offset))
    assert found.time == when.replace(microsecond=0, tzinfo=zone).astimezone(UTC)


@given(st.text(max_size=200), st.text(max_size=20))
def test_any_text_is_a_time_or_none(original: str, offset: str) -> None:
    """No text in EXIF is an error, and what is shown of it is short and printable."""
    found = taken(exif(original=original, offset=offset))
    assert len(found.text) <= 64
    assert found.text.isprintable()
