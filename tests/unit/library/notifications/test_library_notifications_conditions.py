"""What fits which rule."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as v1
from services.library.notifications.conditions import Rule, Seen, SeenFace, SeenLabel, subjects
from tests.support.notifications import TRIGGERS

ANNA = SeenFace(v1.VERDICT_STATE_IDENTIFIED, "anna", "anna smith", 0.9)
NAMELESS = SeenFace(v1.VERDICT_STATE_IDENTIFIED, "", "bob", 0.6)
STRANGER = SeenFace(v1.VERDICT_STATE_UNKNOWN, "", "", 0.0)
DISPUTED = SeenFace(v1.VERDICT_STATE_DISAGREE, "", "", 0.0)
NO_FACE = SeenFace(v1.VERDICT_STATE_NO_FACE, "", "", 0.0)
ID = UUID(int=1)


def seen(*faces: SeenFace, **fields: object) -> Seen:
    return Seen(**{"picture_id": ID, "is_recognized": True, "faces": faces, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "faces", "found"),
    [
        (Rule(TRIGGERS["PERSON"]), (ANNA, NAMELESS, ANNA), ["anna", "bob"]),
        (Rule(TRIGGERS["PERSON"], "anna", "anna"), (ANNA, NAMELESS), ["anna"]),
        (Rule(TRIGGERS["PERSON"], "anna smith", "Anna Smith"), (ANNA, NAMELESS), ["anna"]),
        (Rule(TRIGGERS["PERSON"], min_score=0.7), (ANNA, NAMELESS), ["anna"]),
        (Rule(TRIGGERS["PERSON"]), (STRANGER, DISPUTED), []),
        (Rule(TRIGGERS["UNKNOWN"]), (ANNA, STRANGER), [""]),
        (Rule(TRIGGERS["UNKNOWN"]), (ANNA,), []),
        (Rule(TRIGGERS["NOBODY"]), (NO_FACE,), [""]),
        (Rule(TRIGGERS["NOBODY"]), (STRANGER,), []),
        (Rule(TRIGGERS["NOBODY"]), (), []),
        (Rule(TRIGGERS["DISAGREEMENT"]), (DISPUTED,), [""]),
        (Rule(TRIGGERS["DISAGREEMENT"]), (ANNA,), []),
        (Rule(TRIGGERS["BUDGET"]), (ANNA, DISPUTED), []),
    ],
)
def test_faces_fit_rules(rule: Rule, faces: tuple[SeenFace, ...], found: list[str]) -> None:
    """People are told apart, by identifier or by name; where nobody looked for faces, nobody is missing."""
    assert subjects(rule, seen(*faces)) == found


def test_labels_and_categories_fit_rules() -> None:
    """A label counts from its score on, a category whether or not the picture was recognized."""
    picture = seen(labels=[SeenLabel("dog", 0.8)], folded_categories=frozenset(("holidays",)))
    assert subjects(Rule(TRIGGERS["LABEL"], "dog", min_score=0.8), picture) == [""]
    assert subjects(Rule(TRIGGERS["LABEL"], "dog", min_score=0.9), picture) == []
    assert subjects(Rule(TRIGGERS["LABEL"], "cat"), picture) == []
    unrecognized = seen(is_recognized=False, folded_categories=frozenset(("holidays",)))
    assert subjects(Rule(TRIGGERS["CATEGORY"], "holidays"), unrecognized) == [""]
    assert subjects(Rule(TRIGGERS["CATEGORY"], "work"), unrecognized) == []


@given(
    st.sampled_from(sorted(set(TRIGGERS.values()) - {TRIGGERS["PICTURE"], TRIGGERS["CATEGORY"]})),
    st.lists(st.sampled_from([ANNA, NAMELESS, STRANGER, DISPUTED, NO_FACE])),
)
def test_a_picture_that_failed_fits_no_rule_of_what_is_in_it(trigger: int, faces: list[SeenFace]) -> None:
    """What is known of it is of earlier recognitions, and was told then."""
    assert subjects(Rule(trigger), seen(*faces, is_recognized=False)) == []
