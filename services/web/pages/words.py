"""Outcomes, verdicts, errors and numbers in the words of the people who look at the page. Pure."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from google.rpc import status_pb2
from grpc import StatusCode

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import status
from services.runtime.limits import MAX_IMAGE_BYTES, MIB

_PERCENT = 100
_MILLION = 1_000_000
_MOST_NAMES = 6


class Words(NamedTuple):
    """What a person is told about a failure."""

    title: str
    """What happened, in a few words: "Busy, not asked"."""
    text: str
    """What it means, or what to do."""


_BUSY = Words("Busy, not asked", "It has too much to do right now: try again in a moment.")
_AWAY = Words("Away", "It cannot be reached at the moment. It is asked again with the next picture.")
_SLOW = Words("Too slow", "It did not answer in time.")
_OPERATOR = Words("Not set up right", "Whoever runs this Marquee has to mend it.")
_SIGN_IN = Words("Please sign in", "Your session has ended. Your picture stays here: sign in and try again.")
FORBIDDEN = Words("You may not do this", "Your account does not have the right to. Ask whoever runs this Marquee.")
_INVALID = Words("That cannot be asked", "One of the options is not right.")
_TOO_LARGE = Words("Picture too large", f"A picture may have {MAX_IMAGE_BYTES // MIB} MB and 50 megapixels.")
_UNREADABLE = Words("Not a picture", "The file is no picture that can be read. Send JPEG, PNG or WebP.")
_BROKEN = Words("Something broke", "It is not your fault, and it is in the log.")
_REASONS: Mapping[str, Words] = {
    "INVALID_REQUEST": _INVALID,
    "MALFORMED_REQUEST": _INVALID,
    "UNKNOWN_RECOGNIZER": Words("Unknown recognizer", "There is none of that name any more: load the page again."),
    "TOO_MANY_HOPS": _OPERATOR,
    "UNAUTHENTICATED": _SIGN_IN,
    "CREDENTIALS_MISSING": _SIGN_IN,
    "TOKEN_UNKNOWN": _SIGN_IN,
    "TOKEN_EXPIRED": _SIGN_IN,
    "TOKEN_INVALID": _SIGN_IN,
    "CERTIFICATE_UNKNOWN": _OPERATOR,
    "FORBIDDEN": FORBIDDEN,
    "SCOPE_MISSING": FORBIDDEN,
    "FOREIGN_REQUEST": Words("The page is too old", "It was open for long, or elsewhere: load it again."),
    "COLLECTION_FORBIDDEN": Words("Not your collection", "You may not search this collection: choose another."),
    "RELAY_FORBIDDEN": _OPERATOR,
    "RATE_EXCEEDED": Words("Too fast", "You have sent more pictures than you may for now: try again in a moment."),
    "UNSUPPORTED_POLICY": Words("Not offered", "It cannot ask in this order: choose another under Options."),
    "NOT_OFFERED": Words("Not offered", "It is not set up for this."),
    "PICTURE_NOT_FOUND": Words("No such picture", "The library has no such picture."),
    "PICTURE_ERASED": Words("The picture was erased", "It was erased for good, and is not added again."),
    "CONTENT_MISSING": Words("No file", "The library has no file of this picture."),
    "CATEGORY_NOT_FOUND": Words("No such category", "The library has no such category."),
    "FACE_NOT_FOUND": Words("No such face", "The library has no such face."),
    "ACTION_NOT_FOUND": Words("Nothing to undo", "The library knows of no such change."),
    "ACTION_CONFLICT": Words("Changed since", "Undo first what was done after it."),
    "ETAG_STALE": Words("Changed meanwhile", "Somebody else has changed this person: look again."),
    "PERSON_TWICE": Words("Twice in a picture", "The person is another face of the same picture."),
    "PEOPLE_SEPARATED": Words("Two people", "It was said that these are two: undo that first."),
    "MODEL_NOT_FOUND": Words("No vectors", "The library has nothing yet by which faces could be compared."),
    "RULE_NOT_FOUND": Words("No such rule", "The library has no such rule of notifications."),
    "REQUEST_REUSED": Words("Sent twice", "The same number was given to two requests."),
    "PERSON_NOT_FOUND": Words("Nobody of that name", "The person is not enrolled."),
    "INVALID_IMAGE": _UNREADABLE,
    "IMAGE_MISSING": Words("No picture", "Choose, drop or paste a picture first, or give its address in S3."),
    "IMAGE_TOO_LARGE": _TOO_LARGE,
    "UNFIT_FACE": Words("Not a good picture of the face", "Take another one, sharp and from the front."),
    "NO_FACE": Words("No face", "There is no face in the picture."),
    "SEVERAL_FACES": Words("Several faces", "The picture has to show one face only."),
    "FACE_TOO_SMALL": Words("Face too small", "Take a picture from nearer."),
    "FACE_BLURRED": Words("Face not sharp", "Take a sharper picture."),
    "FACE_TURNED": Words("Face turned away", "Take a picture from the front."),
    "FACE_ALREADY_ENROLLED": Words("Known as somebody else", "The face is enrolled under another name."),
    "NAME_TAKEN": Words("Name taken", "Somebody else has this name."),
    "OBJECT_NOT_FOUND": Words("Not found in S3", "There is no such bucket or picture."),
    "OBJECT_FORBIDDEN": Words("Closed in S3", "Marquee is not let in to read this picture."),
    "BUCKET_NOT_ALLOWED": Words("Bucket not allowed", "Whoever runs this Marquee has not opened this bucket."),
    "COLLECTION_NOT_FOUND": Words("No such collection", "There is no collection of that name."),
    "COLLECTION_NOT_INDEXED": Words("Collection not ready", "Whoever runs this Marquee has to index it first."),
    "MODEL_NOT_READY": Words("Not ready yet", "It is still loading: try again in a moment."),
    "OVERLOADED": _BUSY,
    "SHED": _BUSY,
    "BATCH_REFUSED": Words("Busy with others", "It gives way to what people wait for: try again later."),
    "GALLERY_BUSY": Words("Busy", "Others were changing it at the same moment: try again."),
    "DEPENDENCY_UNAVAILABLE": Words("Away", "Something that it needs cannot be reached at the moment."),
    "DEPENDENCY_TIMEOUT": Words("Too slow", "Something that it needs did not answer in time."),
    "OUT_OF_TIME": _SLOW,
    "INVALID_ANSWER": Words("Unusable answer", "What it answered makes no sense, and none of it is shown."),
    "ANSWER_TOO_LARGE": Words("Answer too long", "It found more than can be sent. Ask for fewer labels."),
    "THROTTLED": Words("Busy", "The service behind it takes no more right now: try again in a moment."),
    "BUDGET_EXHAUSTED": Words("Budget spent", "What it may cost today is spent. It is asked again tomorrow."),
    "CALLER_BUDGET_EXHAUSTED": Words("Your budget is spent", "What you may spend today is spent. Try it tomorrow."),
    "MISCONFIGURED": _OPERATOR,
    "CREDENTIALS_REFUSED": _OPERATOR,
    "NOT_PERMITTED": _OPERATOR,
    "RECOGNIZER_UNAVAILABLE": _AWAY,
    "RECOGNIZER_TIMEOUT": _SLOW,
    "RECOGNIZER_FAILED": Words("Did not work", "It failed in a way of its own."),
    "GATEWAY_REFUSED": _OPERATOR,
    "NO_RECOGNIZER_ANSWERED": Words("Nobody could answer", "What kept each of them is written in its card."),
    "REQUIRED_RECOGNIZER_MISSING": Words("One is missing", "An answer that you require did not come."),
    "INTERNAL": _BROKEN,
}
_CODES: Mapping[StatusCode, Words] = {
    StatusCode.UNAVAILABLE: Words("Nobody answers", "The recognizers cannot be reached: try again in a moment."),
    StatusCode.DEADLINE_EXCEEDED: _SLOW,
    StatusCode.RESOURCE_EXHAUSTED: _BUSY,
    StatusCode.UNAUTHENTICATED: _OPERATOR,
    StatusCode.PERMISSION_DENIED: FORBIDDEN,
    StatusCode.UNIMPLEMENTED: Words("Not offered", "It is not set up for this."),
    StatusCode.INVALID_ARGUMENT: _INVALID,
    StatusCode.NOT_FOUND: Words("Not found", "There is no such thing."),
}
_OUTCOMES: Mapping[int, Words] = {
    pb.OUTCOME_TIMEOUT: _SLOW,
    pb.OUTCOME_SHED: _BUSY,
    pb.OUTCOME_SKIPPED: Words("Not asked", "It does none of what was asked for."),
}
FEATURES: Mapping["pb.Feature.ValueType", str] = {
    pb.FEATURE_CELEBRITIES: "Known people",
    pb.FEATURE_LABELS: "What it shows",
    pb.FEATURE_FACES: "Faces in detail",
    pb.FEATURE_FACE_SEARCH: "Search a collection",
    pb.FEATURE_TEXT: "Text",
    pb.FEATURE_MODERATION: "Sensitive content",
}
STATES: Mapping[int, tuple[str, str]] = {
    pb.RECOGNIZER_STATE_READY: ("good", "ready"),
    pb.RECOGNIZER_STATE_LOADING: ("warning", "loading"),
    pb.RECOGNIZER_STATE_UNAVAILABLE: ("bad", "away"),
}
"""Tone of a recognizer's state, and its word."""
POLICIES: Mapping["pb.Policy.ValueType", str] = {
    pb.POLICY_ALL: "Ask all at once",
    pb.POLICY_FIRST_CONFIDENT: "Stop at the first sure answer",
    pb.POLICY_CASCADE: "One after the other, until one is sure",
}
_LEFT_OUT = {"Not asked": "Not needed", "Cancelled": "Stopped"}
"""What is told of recognizers that a policy left out, by what the gateway says before a colon."""


def failure(failed: status_pb2.Status, outcome: int = pb.OUTCOME_ERROR) -> Words:
    """Return what is told of a failed call or result: by its reason, else by its outcome, else by its code."""
    reason = _REASONS.get(status.reason_of(failed))
    if outcome == pb.OUTCOME_SKIPPED and reason is None:
        return _left_out(failed.message) or _OUTCOMES[outcome]
    if outcome == pb.OUTCOME_SHED:
        return _OUTCOMES[outcome]
    return reason or _OUTCOMES.get(outcome) or _CODES.get(status.code_of(failed)) or _BROKEN


def _left_out(message: str) -> Words | None:
    """Return what is told of a recognizer that a policy left out; None of others."""
    beginning, _, reason = message.partition(": ")
    title = _LEFT_OUT.get(beginning)
    return Words(title, clean(reason[0].upper() + reason[1:])) if title and reason else None


def sentence(failed: status_pb2.Status, outcome: int = pb.OUTCOME_ERROR) -> str:
    """Return it in a line: "Busy, not asked. It has too much to do …". What is wrong with an option it says itself."""
    told = failure(failed, outcome)
    return f"{told.title}. {clean(failed.message) if told is _INVALID and failed.message else told.text}"


def percent(score: float) -> str:
    """0.934 → 93 %. Numbers that are none count as 0."""
    return f"{round(share(score) * _PERCENT)} %"


def share(number: float) -> float:
    """Return the number, at least 0 and at most 1; 0 for those that are none."""
    return min(max(number, 0.0), 1.0) if math.isfinite(number) else 0.0


def dollars(micro_usd: int) -> str:
    """7 → $0.000007, 2000 → $0.002, 3400000 → $3.40."""
    whole, millionths = divmod(abs(micro_usd), _MILLION)
    return f"{'-' if micro_usd < 0 else ''}${whole:,}.{f'{millionths:06}'.rstrip('0'):0<2}"


def duration(seconds: float) -> str:
    """0.0004 → under 1 ms, 0.38 → 380 ms, 1.234 → 1.2 s."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms" if seconds * 1000 >= 1 else "under 1 ms"
    return f"{seconds:.1f} s"


def count(number: int, noun: str) -> str:
    """1 face, 2 faces, 1,000 faces."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str], conjunction: str = "and") -> str:
    """Raj; Raj and Nina; Raj, Nina and Tom; of many the first ones, and how many more."""
    if len(names) > _MOST_NAMES:
        names = (*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} more")
    return f" {conjunction} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def clean(text: str) -> str:
    """Return a name or a remark in one line, without what turns the direction of writing around it."""
    return status.CONTROL_IN_NAME.sub(" ", text).strip()


def headline(verdicts: Sequence[pb.Verdict]) -> str:
    """Return who is in the picture: "Raj, Nina and 2 unknown faces". Empty if nobody looked for faces."""
    if any(one.state == pb.VERDICT_STATE_NO_FACE for one in verdicts):
        return "No face here"
    names = dict.fromkeys(name_of(one) for one in verdicts if one.state == pb.VERDICT_STATE_IDENTIFIED)
    doubts = [f"{name_of(one)}?" for one in verdicts if one.state == pb.VERDICT_STATE_DISAGREE]
    unknown = sum(one.state == pb.VERDICT_STATE_UNKNOWN for one in verdicts)
    strangers = [] if not unknown else ["an unknown face" if unknown == 1 else f"{unknown:,} unknown faces"]
    line = listed([*names, *doubts, *strangers]) if verdicts else ""
    return line[:1].upper() + line[1:] if line == "".join(strangers) else line


def name_of(verdict: pb.Verdict) -> str:
    """Return the verdict's name; for DISAGREE every name; for others nothing."""
    if verdict.state == pb.VERDICT_STATE_DISAGREE:
        return listed(list(dict.fromkeys(clean(one.candidate.display_name) for one in verdict.support)), "or")
    return clean(verdict.display_name) if verdict.state == pb.VERDICT_STATE_IDENTIFIED else ""


def agreeing(verdict: pb.Verdict) -> list[pb.Support]:
    """Return the support that is for the verdict's person. Of an evidence group some may name another, uncounted."""
    return [one for one in verdict.support if is_person(one.candidate, verdict)]


def is_person(candidate: pb.Candidate, verdict: pb.Verdict) -> bool:
    """Return whether the candidate is the verdict's person."""
    has_id = verdict.person_id != "" and candidate.person_id == verdict.person_id
    return has_id or key(candidate.display_name) == key(verdict.display_name)


def key(name: str) -> str:
    """Return what two spellings of one name have in common, as the gateway compares them."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    return " ".join(plain.replace("_", " ").casefold().split())


def reasoning(verdict: pb.Verdict) -> str:
    """Return in a sentence or two what a verdict rests on."""
    who = [clean(one.recognizer) for one in agreeing(verdict)]
    said = listed(
        [f"{clean(one.recognizer)} says {clean(one.candidate.display_name)} ({percent(one.candidate.score)})"
         for one in verdict.support]
    )  # fmt: skip
    match verdict.state:
        case pb.VERDICT_STATE_NO_FACE:
            return "Nobody found a face in this picture."
        case pb.VERDICT_STATE_DISAGREE:
            return f"They disagree: {said}."
        case pb.VERDICT_STATE_UNKNOWN if said:
            is_calibrated = verdict.basis == pb.VERDICT_BASIS_CALIBRATED
            why = (
                ": that is too little evidence, or the name of another face"
                if is_calibrated
                else ", who is named for another face"
            )
            return f"{said}{why}."
        case pb.VERDICT_STATE_UNKNOWN:
            return "There is a face, and nobody knows it well enough to name it."
        case _ if len(who) > 1:
            groups = {one.evidence_group for one in agreeing(verdict)}
            same = " They look through the same network, so they count as one." if len(groups) == 1 else ""
            return f"{listed(who)} agree.{same}"
        case _:
            return f"Only {who[0]} names this face." if who else ""
