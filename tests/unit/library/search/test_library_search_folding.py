"""Folding and words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.library.search.folding import MAX_WORD, beginnings, fold, words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("José NÚÑEZ", "jose nunez"),
        ("Straße", "strasse"),
        ("Søren Łódź Œuvre", "soren lodz oeuvre"),
        ("İstanbul I\u015f\u0131k", "istanbul isik"),
        ("ﬁancé", "fiance"),
        ("  a\t\n b ", "a b"),
        ("a\u200db\u00adc\u202e\x01", "abc"),
        ("ﾊﾝｶｸ", "ハンカク"),
        ("が", "が"),
        ("हिन्दी", "हिन्दी"),
        ("שָׁלוֹם", "שלום"),
    ],
)
def test_texts_are_folded(text: str, folded: str) -> None:
    """Case, accents, points, forms and invisible characters are left aside; marks that are part of a letter stay."""
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("IMG_2024-02-29.jpg", ["img", "2024", "02", "29", "jpg"]),
        ("O'Brien", ["o", "brien"]),
        ("東京tower", ["東京", "京", "tower"]),
        ("한국어 사람", ["한국어", "사람"]),
        ("हिन्दी!", ["हिन्दी"]),
        ("a🎉b 👩🏽\u200d🚀", ["a", "🎉", "b", "👩", "🚀"]),
        ("'; DROP TABLE picture; --", ["drop", "table", "picture"]),
        ("&|!:*()", []),
    ],
)
def test_texts_have_words(text: str, found: list[str]) -> None:
    """Words are what is between spaces and punctuation, pairs of characters where a script has no spaces; or emoji."""
    assert words(text) == found


def test_a_run_without_spaces_is_found_by_any_part() -> None:
    """Any neighbours in a run begin some of its words, also a single one, and the last."""
    run = "東京都庁"
    for start in range(len(run)):
        for end in range(start + 1, len(run) + 1):
            assert all(any(w.startswith(b) for w in words(run)) for b in beginnings(run[start:end]))


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    """A folded text is its own folding, whatever was in it."""
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_forms_of_a_text_fold_alike(text: str) -> None:
    """The composed and the decomposed form of a text are found by each other, and so are its cases."""
    assert fold(unicodedata.normalize("NFC", text)) == fold(unicodedata.normalize("NFD", text))
    assert words(text) == words(fold(text))


@given(st.text())
def test_a_text_is_found_by_itself(text: str) -> None:
    """Each beginning that a text is searched by begins one of its words, none of which is empty or too long."""
    found = words(text)
    assert all(any(word.startswith(beginning) for word in found) for beginning in beginnings(text))
    assert all(0 < len(word) <= MAX_WORD for word in found)
    assert bool(found) == bool(beginnings(text))
