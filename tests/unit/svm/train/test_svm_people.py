"""People named by training folders."""

import pytest

from services.svm.train.pictures import person_of


@pytest.mark.parametrize(
    ("folder", "person_id", "display_name"),
    [
        ("Eileen Collins", "eileen-collins", "Eileen Collins"),
        ("Eileen_Collins", "eileen-collins", "Eileen Collins"),
        ("Conan O'Brien", "conan-o-brien", "Conan O'Brien"),
        ("Zoë_Saldaña", "zoe-saldana", "Zoë Saldaña"),
        ("宮崎_駿", "person-1cef2320a8a947fc", "宮崎 駿"),
        ("__", "", ""),
    ],
)
def test_a_folder_names_a_person(folder: str, person_id: str, display_name: str) -> None:
    """Underscores become spaces; the identifier is in lower case with hyphens, in letters that every system accepts."""
    person = person_of(folder)
    assert (person.person_id, person.display_name) == (person_id, display_name)
