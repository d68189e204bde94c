"""What the page shows of the answers so far."""

from collections.abc import Sequence

import pytest
from google.rpc import status_pb2
from grpc import StatusCode

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion import verdict as fusion
from services.runtime import status
from services.web.pages.results import view
from services.web.pages.results.view import Card, Result
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, box, candidate, face, result

ROSTER = [
    pb.Recognizer(name=name, state=pb.RECOGNIZER_STATE_READY, models=[pb.Model(name=f"net of {name}", version="1")])
    for name in ("svm", "keras", "rekognition")
]
BUSY = status.make(StatusCode.RESOURCE_EXHAUSTED, "SHED", "3 calls are in flight.")


def shown(
    *results: pb.RecognizerResult,
    roster: Sequence[pb.Recognizer] = ROSTER,
    is_done: bool = True,
    failed: status_pb2.Status | None = None,
    seconds: float = 0,
    **answer: object,
) -> Result:
    """Return what the page shows of the results, judged as the gateway does once they are whole."""
    verdicts = fusion.verdicts(results) if is_done else []
    merged = pb.RecognizeImageResponse(results=results, verdicts=verdicts, **answer)
    return view.result("p", "a.jpg", merged, roster, is_done=is_done, failed=failed, seconds=seconds)


def cards(shown: Result) -> dict[str, Card]:
    return {card.name: card for card in shown.cards}


def test_every_recognizer_has_its_card_from_the_start() -> None:
    """Cards stand in the recognizers' order, those that have not answered pending, whoever answers first."""
    waiting = view.waiting("p", ROSTER)
    begun = shown(result("rekognition"), is_done=False)
    assert [card.state for card in waiting.cards] == ["pending"] * 3
    assert [(card.name, card.state) for card in begun.cards] == [
        ("svm", "pending"),
        ("keras", "pending"),
        ("rekognition", "ok"),
    ]
    assert cards(begun)["svm"].model == "net of svm 1"
    assert begun.progress == "1 of 3 have answered."


def test_a_recognizer_that_joined_since_has_a_card_too() -> None:
    """A result of a recognizer that was not listed is shown after those that were."""
    assert [card.name for card in shown(result("new"), result("svm"), roster=ROSTER[:1]).cards] == ["svm", "new"]


def test_who_is_awaited_is_said_after_a_while() -> None:
    """A picture that takes its time names those who keep it waiting."""
    assert shown(result("svm"), is_done=False, seconds=3.5).progress == "Still waiting for keras and rekognition."


def test_a_recognizer_that_was_away_is_shown_so_while_it_is_asked() -> None:
    """The list of recognizers tells who did not answer when last asked."""
    away = pb.Recognizer(name="svm", state=pb.RECOGNIZER_STATE_UNAVAILABLE)
    assert view.waiting("p", [away]).cards[0].remarks == ["Was away when last asked."]


def test_a_recognizer_that_was_not_needed_was_not_asked() -> None:
    """Whoever has not answered once all is over was not asked."""
    assert {card.outcome for card in shown(result("svm")).cards} == {"Done", "Not asked"}


@pytest.mark.parametrize(
    ("outcome", "failure", "state", "title"),
    [
        (pb.OUTCOME_SHED, BUSY, "shed", "Busy, not asked"),
        (pb.OUTCOME_TIMEOUT, status.make(StatusCode.DEADLINE_EXCEEDED, "", "late"), "timeout", "Too slow"),
        (
            pb.OUTCOME_ERROR,
            status.make(StatusCode.UNAVAILABLE, "RECOGNIZER_UNAVAILABLE", "connection refused"),
            "error",
            "Away",
        ),
        (pb.OUTCOME_SKIPPED, status_pb2.Status(message="does no TEXT"), "skipped", "Not asked"),
    ],
)
def test_failures_are_told_in_the_recognizers_card(
    outcome: "pb.Outcome.ValueType", failure: status_pb2.Status, state: str, title: str
) -> None:
    """Each way to fail has its words, and the recognizer's own are kept beside."""
    card = cards(shown(pb.RecognizerResult(recognizer="svm", outcome=outcome, status=failure)))["svm"]
    assert (card.state, card.outcome, card.detail) == (state, title, failure.message)
    assert card.failure is not None


def test_a_feature_that_failed_is_a_remark() -> None:
    """A result that is done in part says what failed in it, beside the recognizer's warnings."""
    partial = result(
        "svm",
        outcome=pb.OUTCOME_PARTIAL,
        warnings=["shrunk to fit 5 MB"],
        feature_errors=[pb.FeatureError(feature=pb.FEATURE_TEXT, status=BUSY)],
    )
    remarks = cards(shown(partial))["svm"].remarks
    assert remarks == [
        "Text: Busy, not asked. It has too much to do right now: try again in a moment.",
        "shrunk to fit 5 MB",
    ]


def test_a_face_says_how_many_agree() -> None:
    """A box is named by person, score and how many who look for people agree; opinions keep the roster's order."""
    answer = shown(
        result("svm", face(LEFT, "Raj", 0.93)), result("rekognition", face(NEAR_LEFT, "Raj", 0.9)), result("keras")
    )
    assert [one.label for one in answer.faces] == ["Raj, 93 %, 2 of 3 agree"]
    assert [(one.recognizer, one.stance) for one in answer.faces[0].opinions] == [
        ("svm", "agrees"),
        ("keras", "unseen"),
        ("rekognition", "agrees"),
    ]


def test_who_names_nobody_does_not_count() -> None:
    """A recognizer that failed, or that does not look for people, has no voice."""
    labels = result("keras")
    labels.performed_features[:] = [pb.FEATURE_LABELS]
    failed = pb.RecognizerResult(recognizer="rekognition", outcome=pb.OUTCOME_ERROR, status=BUSY)
    assert shown(result("svm", face(LEFT, "Raj", 0.93)), labels, failed).faces[0].label == "Raj, 93 %, 1 of 1 agree"


def test_a_disagreement_names_all_and_says_who_says_what() -> None:
    """A box on which recognizers disagree has both names, and its details each one's opinion."""
    one = shown(result("svm", face(LEFT, "Raj", 0.93)), result("keras", face(LEFT, "Nina", 0.8))).faces[0]
    assert (one.label, one.state) == ("Raj or Nina, they disagree", "disagree")
    assert [opinion.stance for opinion in one.opinions] == ["disagrees", "disagrees"]


def test_a_name_that_is_another_faces_says_so() -> None:
    """Of two faces with one name the weaker has no name, and its details say who named it in vain."""
    weaker = shown(result("svm", face(LEFT, "Raj", 0.6), face(RIGHT, "Raj", 0.9))).faces[0]
    assert (weaker.label, weaker.reasoning) == ("Unknown face", "svm says Raj (60 %), who is named for another face.")
    assert [opinion.stance for opinion in weaker.opinions] == ["uncounted"]


def test_a_candidate_that_is_not_sure_is_told_as_perhaps() -> None:
    """A score under the model's identify_score names nobody, and is an opinion all the same."""
    unsure = result("svm", face(LEFT, "Raj", 0.3), model=pb.Model(identify_score=0.5))
    answer = shown(unsure)
    assert answer.faces[0].label == "Unknown face"
    assert answer.faces[0].opinions[0].stance == "unsure"
    assert answer.announcements[0] == "svm: perhaps Raj 30 %."


def test_unknown_faces_are_told_apart() -> None:
    """Several faces that nobody knows are numbered from left to right."""
    assert [one.label for one in shown(result("svm", face(RIGHT), face(LEFT))).faces] == [
        "Unknown face 1",
        "Unknown face 2",
    ]


def test_faces_keep_their_ids_while_results_come_in() -> None:
    """What a person has focused or opened stays the same face when a later result finds another on its left."""
    first = shown(result("svm", face(RIGHT, "Raj")), is_done=False)
    then = shown(result("svm", face(RIGHT, "Raj")), result("keras", face(LEFT, "Nina")))
    ids = {one.name: one.id for one in then.faces}
    assert first.faces[0].label == "Raj, 90 %, 1 of 1 agree, so far"
    assert ids["Raj"] == first.faces[0].id
    assert [one.name for one in then.faces] == ["Nina", "Raj"]
    assert [one.name for one in then.people] == ["Raj", "Nina"]


def test_a_cards_entries_lead_to_the_boxes() -> None:
    """Each face that a recognizer names has the id of its box on the picture."""
    answer = shown(result("svm", face(LEFT, "Raj")), result("keras", face(NEAR_LEFT, "Raj"), face(RIGHT)))
    ids = [[entry.face_id for entry in cards(answer)[name].people] for name in ("svm", "keras")]
    assert ids == [[answer.faces[0].id], [one.id for one in answer.faces]]


def test_people_without_a_box_are_shown_as_well() -> None:
    """Somebody recognized in the picture as a whole is in the headline and the list."""
    answer = shown(result("svm", image_candidates=[candidate("Raj")]))
    assert (answer.headline, [one.name for one in answer.elsewhere]) == ("Raj", ["Raj"])


def test_only_web_pages_are_linked() -> None:
    """Addresses that a recognizer gives are links if they are pages of the web, with or without a scheme."""
    raj = candidate("Raj")
    raj.urls[:] = [
        "www.imdb.com/name/1",
        "https://a.org/x",
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil",
        "x@y.z",
    ]
    found = shown(result("svm", pb.Face(box=box(LEFT), candidates=[raj]))).faces[0].opinions[0].candidates[0]
    assert found.links == [("www.imdb.com", "https://www.imdb.com/name/1"), ("a.org", "https://a.org/x")]


def test_details_of_a_face_are_told() -> None:
    """Quality, pose and attributes are facts with names, landmarks are points of the picture."""
    known = face(LEFT, "Raj")
    known.quality.sharpness = 0.5
    known.quality.pose.yaw = -12
    known.landmarks.add(type="nose", x=0.2, y=2)
    known.attributes.add(name="Smile", value="true", score=0.8)
    one = shown(result("svm", known)).faces[0]
    assert one.opinions[0].facts == [
        ("Sharpness", "50 %"),
        ("Looks", "tilted 0°, turned -12°, nodding 0°"),
        ("Smile", "yes (80 %)"),
    ]
    assert one.landmarks == [(pytest.approx(0.2), 1.0)]


@pytest.mark.parametrize(
    ("answer", "headline", "explanation"),
    [
        (shown(result("svm")), "No face here", "Nobody found a face in this picture."),
        (
            shown(
                pb.RecognizerResult(recognizer="svm", outcome=pb.OUTCOME_OK),
                labels=[pb.Label(name="Boat", score=0.9)],
            ),
            "Boat",
            "Nobody looked for faces.",
        ),
        (shown(is_done=False), "Looking…", ""),
        (shown(is_done=False, failed=BUSY), "No answer", ""),
    ],
)
def test_pictures_without_faces_have_their_words(answer: Result, headline: str, explanation: str) -> None:
    """No face, nobody who looked, nothing yet and nothing at all are told apart."""
    assert (answer.headline, answer.explanation) == (headline, explanation)


def test_what_happens_is_announced_once() -> None:
    """There is a line for each recognizer in the order of their answers, which never changes, and one for the end."""
    first, second = result("keras", face(LEFT, "Raj", 0.93)), result("svm", labels=[pb.Label(name="Boat", score=0.8)])
    begun, whole = shown(first, is_done=False).announcements, shown(first, second).announcements
    assert begun == ["keras: Raj 93 %."]
    assert whole == ["keras: Raj 93 %.", "svm: Boat 80 %.", "Done: Raj."]


def test_a_call_that_failed_is_told_and_keeps_what_came() -> None:
    """If the call ends badly, the cards that were filled stay, and the reason is told in words."""
    answer = shown(result("svm", face(LEFT, "Raj")), is_done=False, failed=BUSY)
    assert answer.phase == "failed"
    assert answer.problem is not None
    assert answer.problem.title == "Busy, not asked"
    assert answer.headline == "Raj"


def test_time_and_money_are_told() -> None:
    """The call's time, cost and what the cache saved are told, and each recognizer's own."""
    own = result("svm", cost_micro_usd=2000, from_cache=True)
    own.timings.recognizer.FromMilliseconds(300)
    own.timings.network.FromMilliseconds(80)
    answer = shown(own, cost_micro_usd=2000, saved_micro_usd=1000)
    assert (answer.cost, answer.saved) == ("$0.002", "$0.001")
    card = cards(answer)["svm"]
    assert (card.time, card.cost, card.from_cache) == ("380 ms", "$0.002", True)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("my cat.jpg", "my-cat"),
        ("../../etc/passwd", "etc-passwd"),
        ("<b>.png", "b"),
        ("", "picture"),
        ("a" * 500, "a" * 80),
    ],
)
def test_files_to_take_away_have_plain_names(name: str, stem: str) -> None:
    """Whatever a picture is called, its files' names hold no path and no marks."""
    assert view.result("p", name, pb.RecognizeImageResponse(), []).stem == stem


def test_a_crowd_is_cut() -> None:
    """Of very many faces the first hundred are shown, and how many more there are."""
    places = [(column / 20, row / 20, 0.04, 0.04) for row in range(15) for column in range(20)]
    answer = shown(
        result("svm", *[face(place) for place in places[:100]]), result("keras", *map(face, places[100:200]))
    )
    assert (len(answer.faces), answer.more_faces) == (100, 100)
