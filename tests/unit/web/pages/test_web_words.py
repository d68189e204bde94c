"""Words of outcomes, verdicts, errors and numbers."""

import pytest
from google.rpc import status_pb2
from grpc import StatusCode

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.web.pages import words
from tests.support.servers import LEFT, box


def verdict(state: str, *support: tuple[str, str, float], groups: tuple[str, ...] = ()) -> pb.Verdict:
    """Return a verdict on a face; support is recognizer, name and score, best first."""
    named = pb.VerdictState.Value(f"VERDICT_STATE_{state}") == pb.VERDICT_STATE_IDENTIFIED and support
    return pb.Verdict(
        state=pb.VerdictState.Value(f"VERDICT_STATE_{state}"),
        box=box(LEFT),
        display_name=support[0][1] if named else "",
        score=support[0][2] if named else 0,
        support=[
            pb.Support(
                recognizer=recognizer,
                candidate=pb.Candidate(display_name=name, score=score),
                evidence_group=groups[index] if groups else recognizer,
            )
            for index, (recognizer, name, score) in enumerate(support)
        ],
    )


RAJ = verdict("IDENTIFIED", ("svm", "Raj", 0.93), ("rekognition", "raj", 0.88))
NINA = verdict("IDENTIFIED", ("svm", "Nina", 0.8))
TORN = verdict("DISAGREE", ("svm", "Raj", 0.93), ("rekognition", "Nina", 0.88))
STRANGER = verdict("UNKNOWN")
NOBODY = pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)


@pytest.mark.parametrize("reason", sorted({reason for _, reason in status.TABLE.values()}))
def test_every_error_has_words_of_its_own(reason: str) -> None:
    """A person is told in words what each error of the project means, and never its code."""
    told = words.failure(status.make(StatusCode.DATA_LOSS, reason, "message"))
    assert reason not in " ".join(told)
    assert told.title
    assert told.text.endswith(".")
    assert told != words.failure(status_pb2.Status(code=StatusCode.DATA_LOSS.value[0]))


def test_a_busy_recognizer_was_not_asked() -> None:
    """Whatever the status of a result that was shed, people are told to try again in a moment."""
    told = words.failure(status.make(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", "full"), pb.OUTCOME_SHED)
    assert told == ("Busy, not asked", "It has too much to do right now: try again in a moment.")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Not asked: the results before it are sure.", ("Not needed", "The results before it are sure.")),
        ("Not asked: keras says Non-Celebrity.", ("Not needed", "Keras says Non-Celebrity.")),
        ("Cancelled: the results before it are sure.", ("Stopped", "The results before it are sure.")),
        ("supports none of the requested features", ("Not asked", "It does none of what was asked for.")),
    ],
)
def test_who_was_left_out_says_why(message: str, told: tuple[str, str]) -> None:
    """A recognizer that a policy left out is told of with the policy's reason, any other as one that does nothing."""
    assert words.failure(status_pb2.Status(message=message), pb.OUTCOME_SKIPPED) == told


def test_a_failure_without_a_reason_is_told_by_its_code() -> None:
    """What gRPC itself reports, such as a gateway that is away, is told in words, too."""
    away = words.failure(status_pb2.Status(code=StatusCode.UNAVAILABLE.value[0], message="failed to connect"))
    assert away.title == "Nobody answers"


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        ([RAJ], "Raj"),
        ([RAJ, RAJ, NINA], "Raj and Nina"),
        ([RAJ, STRANGER, STRANGER], "Raj and 2 unknown faces"),
        ([TORN, NINA], "Nina and Raj or Nina?"),
        ([STRANGER], "An unknown face"),
        ([NOBODY], "No face here"),
        ([verdict("IDENTIFIED", ("svm", f"P{n}", 0.9)) for n in range(9)], "P0, P1, P2, P3, P4 and 4 more"),
        ([], ""),
    ],
)
def test_the_headline_says_who_is_in_the_picture(verdicts: list[pb.Verdict], headline: str) -> None:
    """Names come first, each once, then those in doubt, then how many faces nobody knows."""
    assert words.headline(verdicts) == headline


@pytest.mark.parametrize(
    ("judged", "sentence"),
    [
        (RAJ, "svm and rekognition agree."),
        (NINA, "Only svm names this face."),
        (TORN, "They disagree: svm says Raj (93 %) and rekognition says Nina (88 %)."),
        (STRANGER, "There is a face, and nobody knows it well enough to name it."),
        (NOBODY, "Nobody found a face in this picture."),
        (verdict("UNKNOWN", ("svm", "Raj", 0.9)), "svm says Raj (90 %), who is named for another face."),
        (
            pb.Verdict(
                state=pb.VERDICT_STATE_UNKNOWN,
                basis=pb.VERDICT_BASIS_CALIBRATED,
                support=verdict("UNKNOWN", ("svm", "Raj", 0.5)).support,
            ),
            "svm says Raj (50 %): that is too little evidence, or the name of another face.",
        ),
        (
            verdict("IDENTIFIED", ("svm", "Raj", 0.9), ("aws", "Raj", 0.8), groups=("net", "net")),
            "svm and aws agree. They look through the same network, so they count as one.",
        ),
        (
            verdict("IDENTIFIED", ("svm", "Raj", 0.9), ("aws", "Nina", 0.8), groups=("net", "net")),
            "Only svm names this face.",
        ),
    ],
)
def test_a_verdict_says_what_it_rests_on(judged: pb.Verdict, sentence: str) -> None:
    """Who agrees, who says what, and that recognizers with the same network count once."""
    assert words.reasoning(judged) == sentence


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (words.percent(0.934), "93 %"),
        (words.percent(1.7), "100 %"),
        (words.percent(float("nan")), "0 %"),
        (words.dollars(2000), "$0.002"),
        (words.dollars(3_400_000), "$3.40"),
        (words.dollars(0), "$0.00"),
        (words.duration(0.0004), "under 1 ms"),
        (words.duration(0.38), "380 ms"),
        (words.duration(1.234), "1.2 s"),
        (words.count(1, "face"), "1 face"),
        (words.count(1000, "face"), "1,000 faces"),
        (words.listed(["a", "b"], "or"), "a or b"),
        (words.listed([]), ""),
        (words.clean("Ra\nj \u202egpj.exe"), "Ra j  gpj.exe"),
    ],
)
def test_numbers_and_names_read_as_people_write_them(shown: str, text: str) -> None:
    """Scores are whole percents, money is exact, names are in one line and turn no writing around."""
    assert shown == text
