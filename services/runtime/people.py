"""Names and identifiers of people, the same in every server. Pure."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from services.runtime.bounds.limit import MAX_DISPLAY_NAME, MAX_NAME
from services.runtime.errors import InvalidRequest

_PERSON_ID = re.compile(rf"[A-Za-z0-9_.:-]{{1,{MAX_NAME}}}")


def person_id_of(display_name: str) -> str:
    """Return an identifier made from the name: "José Núñez" becomes jose-nunez.

    The same name always gives the same identifier, in letters that Rekognition accepts too. A name in other
    scripts gives a hash; one without letters and digits gives the empty string.
    """
    letters = unicodedata.normalize("NFKD", display_name.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = re.sub(r"[\W_]+", "-", plain).strip("-")
    if words.isascii():
        return words[:MAX_NAME].rstrip("-")
    return f"person-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def check_person_id(person_id: str) -> None:
    """Raise InvalidRequest for an invalid person_id."""
    if not _PERSON_ID.fullmatch(person_id):
        raise InvalidRequest(f"person_id must be 1 to {MAX_NAME} characters of A-Z a-z 0-9 _ . : -", field="person_id")


def check_page_token(token: str) -> None:
    """Raise InvalidRequest for a page_token that is not the last person_id of a page."""
    if token and not _PERSON_ID.fullmatch(token):
        raise InvalidRequest("Invalid page_token.", field="page_token")


def start_of_page(ids: Sequence[str], token: str) -> int:
    """Return the index after the face that the page_token names, 0 for the first page. Raises InvalidRequest."""
    check_page_token(token)
    if token and token not in ids:
        raise InvalidRequest("The page_token's face was removed. List from the first page.", field="page_token")
    return ids.index(token) + 1 if token else 0


def check_display_name(display_name: str) -> None:
    """Raise InvalidRequest for an invalid display_name."""
    if len(display_name) > MAX_DISPLAY_NAME or not display_name.isprintable():
        raise InvalidRequest(
            f"display_name must be at most {MAX_DISPLAY_NAME} printable characters.", field="display_name"
        )
    if display_name and not display_name.strip():
        raise InvalidRequest("display_name is blank.", field="display_name")
