"""What a result looks like: from the gateway's messages so far to all that the page shows of a picture. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from google.rpc import status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.web.pages import words
from services.web.pages.results import faces as people
from services.web.pages.results import findings, timings
from services.web.pages.results.faces import Face
from services.web.pages.results.findings import Finding
from services.web.pages.results.timings import Part
from services.web.pages.words import Words, clean, percent

SLOW_SECONDS = 3.0
"""After this the page says who is awaited."""
_TONES = {pb.OUTCOME_OK: "good", pb.OUTCOME_PARTIAL: "warning", pb.OUTCOME_SKIPPED: "quiet", pb.OUTCOME_SHED: "warning"}
_OUTCOMES = {pb.OUTCOME_OK: "Done", pb.OUTCOME_PARTIAL: "Done in part"}
_NOT_NEEDED = "It was not needed, or there was no time left."
_TOLD_LABELS = 3
_MOST = 200
"""How many of what is found are shown; the files to take away have them all."""
_ENDING = re.compile(r"\.\w{1,5}$")
_NO_NAME = re.compile(r"[^\w.()-]+")
"""What is not in names of files."""
_MOST_STEM = 80


@dataclass(frozen=True)
class Card:
    """One recognizer's answer, or that it is awaited."""

    name: str
    state: str = "pending"
    """"pending", or the outcome: "ok", "partial", "error", "timeout", "shed" or "skipped"."""
    tone: str = "quiet"
    """"good", "warning", "bad" or "quiet"."""
    outcome: str = "Asking…"
    model: str = ""
    people: Sequence[Finding] = ()
    labels: Sequence[Finding] = ()
    texts: Sequence[Finding] = ()
    moderation: Sequence[Finding] = ()
    nothing: str = ""
    """What is said if it found nothing."""
    failure: Words | None = None
    detail: str = ""
    """What the recognizer itself says of its failure."""
    remarks: Sequence[str] = ()
    time: str = ""
    cost: str = ""
    from_cache: bool = False

    @property
    def is_pending(self) -> bool:
        """Whether it has not answered yet."""
        return self.state == "pending"


@dataclass(frozen=True)
class Result:
    """All that is known of a picture."""

    key: str
    """Prefix of the ids in its HTML."""
    file_name: str
    cards: Sequence[Card]
    phase: str = "asking"
    """"waiting", "asking", "done" or "failed"."""
    headline: str = ""
    explanation: str = ""
    progress: str = "Waiting its turn."
    """How far it is, as long as it is not over."""
    faces: Sequence[Face] = ()
    more_faces: int = 0
    """How many are not shown."""
    elsewhere: Sequence[Finding] = ()
    """People seen in the picture as a whole."""
    labels: Sequence[Finding] = ()
    texts: Sequence[Finding] = ()
    moderation: Sequence[Finding] = ()
    problem: Words | None = None
    detail: str = ""
    announcements: Sequence[str] = ()
    """What has happened so far: a line for each recognizer that has answered, and one for the end."""
    time: str = ""
    cost: str = ""
    saved: str = ""
    parts: Sequence[Part] = ()
    """Where the time went, once the answer is whole."""
    size: tuple[int, int] = (0, 0)
    """Of the upright picture, in pixels."""

    @property
    def answered(self) -> int:
        """How many recognizers have answered."""
        return sum(not card.is_pending for card in self.cards)

    @property
    def people(self) -> Sequence[Face]:
        """The faces in the order in which they were found, so that a list of them only grows."""
        return sorted(self.faces, key=lambda face: face.number)

    @property
    def stem(self) -> str:
        """Name of the files to take away, without its ending."""
        return _NO_NAME.sub("-", _ENDING.sub("", self.file_name)).strip("-.")[:_MOST_STEM] or "picture"

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.phase in {"done", "failed"}


def merge(messages: Sequence[pb.RecognizeImageResponse]) -> pb.RecognizeImageResponse:
    """Return the one response that the messages of a stream amount to."""
    merged = pb.RecognizeImageResponse()
    for message in messages:
        merged.MergeFrom(message)
    return merged


def waiting(key: str, roster: Sequence[pb.Recognizer]) -> Result:
    """Return a picture that has not been sent yet."""
    return Result(key, "", [_awaited(one, "Waiting") for one in roster], phase="waiting")


def result(  # noqa: PLR0913 - all that a picture's state depends on
    key: str,
    file_name: str,
    answer: pb.RecognizeImageResponse,
    roster: Sequence[pb.Recognizer],
    *,
    is_done: bool = False,
    failed: status_pb2.Status | None = None,
    seconds: float = 0,
) -> Result:
    """Return what the answer so far amounts to.

    `roster`: the recognizers asked. `is_done`: the answer is whole. `failed`: how the call ended if it did not end
    well. `seconds` have passed since it began.
    """
    order = {one.name: index for index, one in enumerate(roster)}
    results = sorted(answer.results, key=lambda one: order.get(one.recognizer, len(order)))
    # As they came: faces keep their ids when further results come.
    groups = people.groups_of(answer.results, answer.verdicts)
    ids = {(name, _spot(face)): people.face_id(key, group)
           for group in groups[: people.MOST] for name, face in group.faces.items()}  # fmt: skip
    cards = list(_cards(results, roster, ids, is_over=is_done or failed is not None))
    verdicts = answer.verdicts or [group.verdict for group in groups]
    headline = _headline(answer, verdicts, failed, is_done=is_done)
    return Result(
        key,
        clean(file_name),
        cards,
        phase="failed" if failed is not None else "done" if is_done else "asking",
        headline=headline,
        explanation=_explanation(answer, verdicts, is_done=is_done),
        progress=_progress(cards, seconds),
        faces=people.faces_of(key, groups, results, is_done=is_done),
        more_faces=max(0, len(groups) - people.MOST),
        elsewhere=[_elsewhere(one) for one in answer.verdicts if _is_elsewhere(one)],
        labels=[findings.label(one) for one in answer.labels[:_MOST]],
        texts=list(chain.from_iterable(_texts(one) for one in results))[:_MOST],
        moderation=[findings.moderation(label) for one in results for label in one.moderation_labels][:_MOST],
        problem=None if failed is None else words.failure(failed),
        detail="" if failed is None else clean(failed.message),
        announcements=list(_announcements(answer, headline, failed, is_done=is_done)),
        time=words.duration(timings.seconds(answer.timings.total)) if is_done else "",
        cost=words.dollars(answer.cost_micro_usd) if answer.cost_micro_usd else "Free" if is_done else "",
        saved=words.dollars(answer.saved_micro_usd) if answer.saved_micro_usd else "",
        parts=timings.parts(answer) if is_done else (),
        size=(answer.image.width, answer.image.height),
    )


def _cards(
    results: Sequence[pb.RecognizerResult],
    roster: Sequence[pb.Recognizer],
    ids: Mapping[tuple[str, bytes], str],
    *,
    is_over: bool,
) -> Iterator[Card]:
    """Yield the cards in the roster's order, then those of recognizers that are new."""
    by_name = {one.recognizer: one for one in results}
    for one in roster:
        found = by_name.pop(one.name, None)
        if found is not None:
            yield _card(found, ids, one)
        elif is_over:
            yield Card(clean(one.name), "skipped", outcome="Not asked", nothing=_NOT_NEEDED)
        else:
            yield _awaited(one, "Asking…")
    for found in by_name.values():
        yield _card(found, ids, pb.Recognizer())


def _awaited(one: pb.Recognizer, outcome: str) -> Card:
    was_away = one.state == pb.RECOGNIZER_STATE_UNAVAILABLE
    remarks = ["Was away when last asked."] if was_away else []
    return Card(clean(one.name), outcome=outcome, model=_model(*one.models[:1]), remarks=remarks)


def _card(found: pb.RecognizerResult, ids: Mapping[tuple[str, bytes], str], listed: pb.Recognizer) -> Card:
    has_failed = found.outcome not in {pb.OUTCOME_OK, pb.OUTCOME_PARTIAL}
    failure = words.failure(found.status, found.outcome) if has_failed else None
    times = found.timings
    spent = sum(map(timings.seconds, (times.queue, times.network, times.recognizer)))
    return Card(
        clean(found.recognizer),
        state=pb.Outcome.Name(found.outcome).removeprefix("OUTCOME_").lower(),
        tone=_TONES.get(found.outcome, "bad"),
        outcome=failure.title if failure else _OUTCOMES.get(found.outcome, ""),
        model=_model(found.model) or _model(*listed.models[:1]),
        people=list(_people(found, ids)),
        labels=[findings.label(one) for one in found.labels[:_MOST]],
        texts=_texts(found),
        moderation=[findings.moderation(one) for one in found.moderation_labels[:_MOST]],
        nothing=_nothing(found),
        failure=failure,
        detail=clean(found.status.message) if failure else "",
        remarks=list(_remarks(found)),
        time=words.duration(spent) if spent else "",
        cost=words.dollars(found.cost_micro_usd) if found.cost_micro_usd else "" if failure else "Free",
        from_cache=found.from_cache,
    )


def _model(*models: pb.Model) -> str:
    return clean(" ".join(f"{model.name} {model.version}" for model in models))


def _people(found: pb.RecognizerResult, ids: Mapping[tuple[str, bytes], str]) -> Iterator[Finding]:
    """Yield an entry for each face, then for each person without one."""
    for face in found.faces:
        identifier = ids.get((found.recognizer, _spot(face)), "")
        best = findings.best(face.candidates)
        if best is not None:
            yield findings.person(best, found.model, identifier)
        else:
            name = "Unknown face" if people.names_faces(found) else "A face"
            yield Finding(name, face.detection_score, identifier, is_sure=False)
    for candidate in found.image_candidates:
        yield findings.person(candidate, found.model)


def _spot(face: pb.Face) -> bytes:
    """Return what tells a recognizer's faces apart."""
    return face.box.SerializeToString(deterministic=True)


def _texts(found: pb.RecognizerResult) -> list[Finding]:
    return [findings.text(one) for one in found.texts[:_MOST] if one.type != pb.TEXT_TYPE_WORD]


def _nothing(found: pb.RecognizerResult) -> str:
    if found.faces or found.image_candidates or found.labels or found.texts or found.moderation_labels:
        return ""
    return "No face found." if people.looks_for_faces(found) else "Nothing found."


def _remarks(found: pb.RecognizerResult) -> Iterator[str]:
    for error in found.feature_errors:
        yield f"{words.FEATURES.get(error.feature, 'Something')}: {words.sentence(error.status)}"
    for warning in found.warnings:
        yield clean(warning)


def _headline(
    answer: pb.RecognizeImageResponse,
    verdicts: Sequence[pb.Verdict],
    failed: status_pb2.Status | None,
    *,
    is_done: bool,
) -> str:
    if headline := words.headline(verdicts):
        return headline
    if not is_done:
        return "Looking…" if failed is None else "No answer"
    if answer.labels:
        return words.listed([clean(one.name) for one in answer.labels[:_TOLD_LABELS]])
    return "Nothing found"


def _progress(cards: Sequence[Card], seconds: float) -> str:
    awaited = [card.name for card in cards if card.is_pending]
    if awaited and seconds >= SLOW_SECONDS:
        return f"Still waiting for {words.listed(awaited)}."
    return f"{len(cards) - len(awaited)} of {len(cards)} have answered." if cards else "Asking…"


def _explanation(answer: pb.RecognizeImageResponse, verdicts: Sequence[pb.Verdict], *, is_done: bool) -> str:
    """Return what the headline rests on if it is about no face in particular."""
    if is_done and not any(people.looks_for_faces(one) for one in answer.results):
        return "Nobody looked for faces."
    return words.reasoning(verdicts[0]) if len(verdicts) == 1 and not verdicts[0].HasField("box") else ""


def _is_elsewhere(verdict: pb.Verdict) -> bool:
    return not verdict.HasField("box") and bool(verdict.support)


def _elsewhere(verdict: pb.Verdict) -> Finding:
    score = verdict.score or max(one.candidate.score for one in verdict.support)
    return Finding(words.name_of(verdict), score, note=words.reasoning(verdict))


def _announcements(
    answer: pb.RecognizeImageResponse, headline: str, failed: status_pb2.Status | None, *, is_done: bool
) -> Iterator[str]:
    for one in answer.results:
        yield f"{clean(one.recognizer)}: {_summary(one)}"
    if failed is not None:
        yield words.sentence(failed)
    elif is_done:
        yield f"Done: {headline}" + ("" if headline.endswith("?") else ".")


def _summary(found: pb.RecognizerResult) -> str:
    """Return in a line what a recognizer answered."""
    if found.outcome not in {pb.OUTCOME_OK, pb.OUTCOME_PARTIAL}:
        return words.sentence(found.status, found.outcome)
    named = [_told(one) for one in _people(found, {})]
    labels = [f"{clean(one.name)} {percent(one.score)}" for one in found.labels[:_TOLD_LABELS]]
    return f"{words.listed(named or labels) or _nothing(found).removesuffix('.') or 'done'}."


def _told(one: Finding) -> str:
    if one.is_sure:
        return f"{one.name} {one.percent}"
    return f"perhaps {one.name} {one.percent}" if one.score and one.name not in {"Unknown face", "A face"} else one.name
