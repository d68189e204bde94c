"""The limits of the contract. Every server enforces them, so they are not settings."""

from services.runtime.errors import ImageMissing, ImageTooLarge

MIB = 1024 * 1024
MAX_IMAGE_BYTES = 15 * MIB
MAX_IMAGE_PIXELS = 50_000_000
MAX_MESSAGE_BYTES = 16 * MIB
DEFAULT_DEADLINE_SECONDS = 12.0
DEFAULT_MAX_LABELS = 10
MAX_MAX_LABELS = 1000
MAX_ENROLLED_IMAGES = 32
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_HOPS = 4


def check_size(length: int) -> None:
    """Raise ImageMissing for a file of 0 bytes, ImageTooLarge for one over the limit."""
    if length == 0:
        raise ImageMissing("The picture has 0 bytes.")
    if length > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The picture has {length} bytes; the limit is {MAX_IMAGE_BYTES} (15 MiB).")
