"""Verifying JPEGs without decoding them, as strictly as decoding would."""

from collections.abc import Callable

import pytest
from PIL import Image as Pillow

from services.runtime.errors import DomainError, InvalidImage
from services.runtime.images.image import Image
from tests.support.pictures import damaged, encode_noise

END = b"\xff\xd9"


def with_preview() -> bytes:
    """Return a JPEG with another complete one in its EXIF block, as cameras write them."""
    whole = encode_noise(exif=b"Exif\0\0" + encode_noise(quality=20))
    assert whole.count(END) == 2
    return whole


JPEGS = {
    "baseline": encode_noise(),
    "progressive": encode_noise(progressive=True),
    "of low quality": encode_noise(quality=30, subsampling=2),
    "with restarts": encode_noise(restart_marker_rows=1),
    "with a preview": with_preview(),
    "several in one file": encode_noise("MPO", save_all=True, append_images=[Pillow.new("RGB", (8, 8))]),
}


def refuses(content: bytes, method: Callable[[Image], object] = Image.verify) -> bool:
    """Return whether verify(), or another method, says that the file is damaged."""
    try:
        method(Image(content))
    except InvalidImage:
        return True
    return False


@pytest.mark.parametrize("whole", JPEGS.values(), ids=JPEGS)
def test_wherever_a_file_is_cut_verify_and_decoding_agree(whole: bytes) -> None:
    """verify() refuses a cut file exactly when decoding does, and neither refuses the whole one."""
    for length in [*range(2, len(whole), 37), *range(len(whole) - 8, len(whole) + 1)]:
        assert refuses(whole[:length]) == refuses(whole[:length], Image.as_stored), length
    assert not refuses(whole)


@pytest.mark.parametrize("whole", JPEGS.values(), ids=JPEGS)
def test_data_after_the_end_does_not_matter(whole: bytes) -> None:
    """Data after a JPEG's end, where phones append films and notes, is accepted."""
    assert not refuses(whole + b"\0\0\0\x18ftypmp42" + bytes(100))


def test_a_previews_end_is_not_the_pictures_end() -> None:
    """A picture without its last bytes is refused even if the preview in it is complete."""
    cut = with_preview()[:-2]
    assert END in cut
    with pytest.raises(InvalidImage, match="cut short"):
        Image(cut).verify()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_verifying_first_changes_no_info(form: str, orientation: int) -> None:
    """Format, upright size and info are the same whether verify() was called first or not."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    content = encode_noise(form, exif=exif)
    verified = Image(content)
    verified.verify()
    assert (verified.format, verified.size) == (form, (64, 48) if orientation == 1 else (48, 64))
    assert verified.info == Image(content).info


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about damaged EXIF blocks, made here on purpose
@pytest.mark.parametrize("form", ["JPEG", "MPO"])
def test_verify_raises_only_domain_errors(form: str) -> None:
    """Whatever bytes are changed, verify() accepts the file or raises a domain error."""
    sound = encode_noise(form, save_all=form == "MPO")
    for content in damaged(sound, within=700):
        try:
            Image(content).verify()
        except DomainError:
            continue
