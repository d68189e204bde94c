"""The limits of the contract. Every server holds them, so they are no settings."""

from services.runtime.errors import ImageMissing, ImageTooLarge

MIB = 1024 * 1024
MAX_IMAGE_BYTES = 15 * MIB
MAX_IMAGE_PIXELS = 50_000_000
MAX_MESSAGE_BYTES = 16 * MIB
DEFAULT_DEADLINE_SECONDS = 12.0
DEFAULT_MAX_LABELS = 10
MAX_MAX_LABELS = 1000
MAX_HOPS = 4


def check_size(length: int) -> None:
    """Refuses a file of no bytes, or of more than the limit."""
    if length == 0:
        raise ImageMissing("The picture has 0 bytes.")
    if length > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The picture has {length} bytes; at most {MAX_IMAGE_BYTES} (15 MiB) are accepted.")
