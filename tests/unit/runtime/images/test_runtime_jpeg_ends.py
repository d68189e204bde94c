"""JPEGs that are verified without being decoded: as strictly as if they were."""

from collections.abc import Callable

import pytest
from PIL import Image as Pillow

from services.runtime.errors import DomainError, InvalidImage
from services.runtime.images.image import Image
from tests.support.pictures import damaged, encode_noise

END = b"\xff\xd9"


def with_preview() -> bytes:
    """A JPEG with another, whole one within its EXIF block, as cameras write them."""
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


def refuses(content: bytes, look: Callable[[Image], object] = Image.verify) -> bool:
    """Whether verify(), or another look, says that the file is damaged."""
    try:
        look(Image(content))
    except InvalidImage:
        return True
    return False


@pytest.mark.parametrize("whole", JPEGS.values(), ids=JPEGS)
def test_wherever_a_file_is_cut_verify_and_decoding_agree(whole: bytes) -> None:
    """A file cut anywhere is refused by verify() exactly where decoding refuses it, the whole one by neither."""
    for length in [*range(2, len(whole), 37), *range(len(whole) - 8, len(whole) + 1)]:
        assert refuses(whole[:length]) == refuses(whole[:length], Image.as_stored), length
    assert not refuses(whole)


@pytest.mark.parametrize("whole", JPEGS.values(), ids=JPEGS)
def test_what_stands_behind_the_end_is_no_matter(whole: bytes) -> None:
    """Phones append films and notes to their JPEGs."""
    assert not refuses(whole + b"\0\0\0\x18ftypmp42" + bytes(100))


def test_a_previews_end_is_not_the_pictures() -> None:
    """A picture without its last bytes is refused though the preview within it is whole."""
    cut = with_preview()[:-2]
    assert END in cut
    with pytest.raises(InvalidImage, match="cut short"):
        Image(cut).verify()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_verifying_first_changes_no_measure(form: str, orientation: int) -> None:
    """Format, upright size and info are right and the same whether verify() came before or not."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    content = encode_noise(form, exif=exif)
    verified = Image(content)
    verified.verify()
    assert (verified.format, verified.size) == (form, (64, 48) if orientation == 1 else (48, 64))
    assert verified.info == Image(content).info


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of damaged EXIF blocks; here the damage is the point
@pytest.mark.parametrize("form", ["JPEG", "MPO"])
def test_verify_meets_damage_with_a_domain_error(form: str) -> None:
    """Whatever bytes are changed, verify() passes the file or says that it is invalid."""
    sound = encode_noise(form, save_all=form == "MPO")
    for content in damaged(sound, within=700):
        try:
            Image(content).verify()
        except DomainError:
            continue
