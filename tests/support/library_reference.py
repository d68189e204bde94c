"""Which pictures a query finds, told by looking at each: what the library's search must agree with."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.search.folding import beginnings, fold, words
from tests.support.library_rows import IDENTIFIED, Named, Row

_ANSWERED = {v1.OUTCOME_OK, v1.OUTCOME_PARTIAL}


def found(rows: Iterable[Row], query: pb.PictureQuery, order: int) -> list[str]:
    """Return the picture_ids that the query finds, in this order."""
    fitting = [row for row in rows if fits(row, query)]
    is_added = order in {pb.PICTURE_ORDER_ADDED_NEWEST, pb.PICTURE_ORDER_ADDED_OLDEST}
    is_oldest = order in {pb.PICTURE_ORDER_ADDED_OLDEST, pb.PICTURE_ORDER_TAKEN_OLDEST}
    fitting.sort(key=lambda row: (row.added if is_added else row.taken, row.picture_id), reverse=not is_oldest)
    return [str(row.picture_id) for row in fitting]


def fits(row: Row, query: pb.PictureQuery) -> bool:
    """Return whether the query finds the picture."""
    return all(
        (
            row.redirect_id is None and query.in_trash == (row.deleted is not None),
            _fits_people(row, query.people),
            _fits_filter(query.labels, _folded(_labels(row))),
            _fits_filter(query.categories, _folded(row.categories)),
            _fits_filter(
                query.recognizers, _folded(name for name, outcome, _ in row.recognizers if outcome in _ANSWERED)
            ),
            not query.verdict_states or bool({face.state for face in row.faces} & set(query.verdict_states)),
            not query.states or row.state in query.states,
            _fits_time(query.taken, row.taken) and _fits_time(query.added, row.added),
            _fits_score(query.score, row),
            _fits_text(row, query.text),
            fold(row.file_name).startswith(fold(query.file_name)),
            _fits_cost(query.cost, sum(cost for *_, cost in row.recognizers)),
            query.sha256 in {"", row.sha256.hex()},
            not query.place_prefix or any(_place(*place).startswith(query.place_prefix) for place in row.places),
        )
    )


def _named(row: Row) -> list[Named]:
    return [face for face in row.faces if face.state == IDENTIFIED and (face.person_id or face.display_name)]


def _is(face: Named, entry: str) -> bool:
    return bool(entry) and (face.person_id == entry or (bool(fold(entry)) and fold(face.display_name) == fold(entry)))


def _fits_people(row: Row, people: pb.PeopleFilter) -> bool:
    named = _named(row)
    count = len({face.person_id or f"={fold(face.display_name)}" for face in named})

    def has(entry: str) -> bool:
        return any(_is(face, entry) for face in named)

    return all(
        (
            all(map(has, people.all_of)),
            not people.any_of or any(map(has, people.any_of)),
            not any(map(has, people.none_of)),
            not people.only or (named and all(any(_is(face, entry) for entry in people.only) for face in named)),
            not people.count.HasField("min") or count >= people.count.min,
            not people.count.HasField("max") or count <= people.count.max,
        )
    )


def _labels(row: Row) -> list[str]:
    return [name for label in (*row.labels, *row.moderation_labels) for name in label]


def _folded(names: Iterable[str]) -> set[str]:
    return {fold(name) for name in names} - {""}


def _fits_filter(one: pb.TermFilter, has: set[str]) -> bool:
    return all(
        (
            all(fold(entry) in has for entry in one.all_of),
            not one.any_of or any(fold(entry) in has for entry in one.any_of),
            not any(fold(entry) in has for entry in one.none_of),
        )
    )


def _fits_time(span: pb.TimeRange, time: datetime) -> bool:
    seconds = time.timestamp()
    after = not span.HasField("begin") or seconds >= span.begin.ToNanoseconds() / 1e9
    return after and (not span.HasField("end") or seconds < span.end.ToNanoseconds() / 1e9)


def _fits_score(span: pb.ScoreRange, row: Row) -> bool:
    if not span.HasField("min") and not span.HasField("max"):
        return True
    score = max((face.score for face in _named(row)), default=None)
    if score is None:
        return False
    return (not span.HasField("min") or score >= span.min) and (not span.HasField("max") or score <= span.max)


def _fits_cost(span: pb.CostRange, cost: int) -> bool:
    after = not span.HasField("min_micro_usd") or cost >= span.min_micro_usd
    return after and (not span.HasField("max_micro_usd") or cost <= span.max_micro_usd)


def _fits_text(row: Row, text: str) -> bool:
    if not text:
        return True
    names = (face.display_name for face in _named(row))
    texts: Sequence[str] = (*names, row.file_name, *row.categories, *_labels(row), *row.texts)
    has = {word for one in texts for word in words(one)}
    wanted = beginnings(text)
    return bool(wanted) and all(any(word.startswith(beginning) for word in has) for beginning in wanted)


def _place(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}" if bucket else key
