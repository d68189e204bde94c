"""How people are named. Pure, and the same in every server."""

import hashlib
import re
import unicodedata

from services.runtime.errors import InvalidRequest

MOST_CHARACTERS = 200
_PERSON_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def person_id_of(display_name: str) -> str:
    """An identifier of the name: "José Núñez" is jose-nunez.

    The same for the same name, in the letters that Rekognition takes too. A name of other letters
    gets digits that stand for it; one without letters and digits gets none.
    """
    letters = unicodedata.normalize("NFKD", display_name.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = re.sub(r"[\W_]+", "-", plain).strip("-")
    if words.isascii():
        return words[:128].rstrip("-")
    return f"person-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def check_person_id(person_id: str) -> None:
    """Raises InvalidRequest."""
    if not _PERSON_ID.fullmatch(person_id):
        raise InvalidRequest("person_id has 1 to 128 characters of A-Z a-z 0-9 _ . : -", field="person_id")


def check_display_name(display_name: str) -> None:
    """Raises InvalidRequest."""
    if len(display_name) > MOST_CHARACTERS or not display_name.isprintable():
        raise InvalidRequest(
            f"display_name has at most {MOST_CHARACTERS} characters, all of them printable.", field="display_name"
        )
    if display_name and not display_name.strip():
        raise InvalidRequest("display_name is blank.", field="display_name")
