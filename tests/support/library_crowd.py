"""A large collection of made-up pictures, copied into the library's tables with all that recognizing them would write.

Among labels of all frequencies are some whose pictures are known: see `LABELS`.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate, islice
from uuid import UUID

import asyncpg

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.search import terms
from services.library.search.folding import words
from services.library.search.terms import TermKind, among, identity

term = cache(terms.term)
_BATCH = 10_000
_FIRST = datetime(2015, 1, 1, tzinfo=UTC)
_DAYS = 3650
_COLLECTION = 1
LABELS: Mapping[str, Callable[[int, float], bool]] = {
    "Everywhere": lambda number, _: number % 1000 != 7,
    "Even": lambda number, _: number % 10 == 0,
    "Odd": lambda number, _: number % 10 == 5,
    "Rare": lambda number, _: number % 5000 == 3,
    "Rarer": lambda number, _: number % 20_000 in {3, 11},
    "Sometimes": lambda number, _: number % 10_000 in {0, 5, 6},
    "Old": lambda _, share: share < 0.1,
}
"""Labels, and whether a picture has them by its number and by when it was taken, from 0 to 1."""
_SYLLABLES = ("ka", "ro", "li", "men", "ta", "sol", "vi", "ber", "no", "dra", "pe", "ul")
_RANDOM = random.Random(1)  # noqa: S311 - nothing secret


def _name(number: int) -> str:
    parts = [_SYLLABLES[number // 12**place % 12] for place in range(5)]
    return "".join(parts)


PEOPLE = [(f"person-{number}", f"{_name(number + 7)} {_name(number * 31)}".title()) for number in range(5000)]
_PARENTS = [f"Group {number}" for number in range(20)]
_NAMES = [(_name(number * 17 + 5).title(), _PARENTS[number % 20]) for number in range(500)]
VOCABULARY = [_name(number * 101 + 3) for number in range(20_000)]
_RESULTS = [
    v1.RecognizerResult(
        recognizer="rekognition",
        labels=[v1.Label(name=name, parents=[parent], score=0.9) for name, parent in _RANDOM.choices(_NAMES, k=6)],
        warnings=[_RANDOM.randbytes(400).hex()],
    )
    .SerializeToString()
    .hex()
    for _ in range(100)
]


def _zipf(count: int, shift: int) -> list[float]:
    return list(accumulate(1 / (rank + shift) for rank in range(count)))


_PEOPLE_WEIGHTS, _NAME_WEIGHTS, _WORD_WEIGHTS = _zipf(5000, 5), _zipf(500, 5), _zipf(20_000, 5)


async def fill(url: str, count: int, *, whole: bool = True) -> None:
    """Fill the empty database with so many pictures, or only with what search looks at of them, and analyse it."""
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO collection (name) VALUES ('pictures')")
    await connection.execute("SET session_replication_role = replica")  # no look-ups of what rows refer to
    async with _without_indexes(connection):
        for start in range(0, count, _BATCH):
            await _copy(connection, range(start, min(start + _BATCH, count)), count, None if whole else 1)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


@asynccontextmanager
async def _without_indexes(connection: asyncpg.Connection) -> AsyncIterator[None]:
    found = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT IN "
        "(SELECT conname FROM pg_constraint) AND tablename = ANY($1)",
        list(_COLUMNS),
    )
    for name, _ in found:
        await connection.execute(f'DROP INDEX "{name}"')
    yield
    await connection.execute("SET maintenance_work_mem = '512MB'")
    for _, definition in found:
        await connection.execute(definition)


async def _copy(connection: asyncpg.Connection, numbers: range, count: int, most: int | None) -> None:
    lines: dict[str, list[str]] = {}
    chance = random.Random(numbers.start)  # noqa: S311 - the same pictures each time
    for number in numbers:
        for table, values in islice(_rows(number, number / count, chance), most):
            lines.setdefault(table, []).append("\t".join(map(str, values)))
    for table, found in lines.items():
        source = _pieces("\n".join(found).encode() + b"\n")
        await connection.copy_to_table(table, source=source, columns=_COLUMNS[table], format="text")


async def _pieces(source: bytes) -> AsyncIterator[bytes]:
    yield source


_COLUMNS = {
    "picture": [
        *("picture_id", "collection_id", "state", "sha256", "format", "width", "height", "size_bytes", "file_name"),
        *("folded_name", "create_time", "taken_time", "taken_time_source", "cost_micro_usd", "score"),
        *("terms", "words"),
    ],
    "face": ["face_id", "picture_id", "position", "state", "person_id", "display_name", "score", "verdict"],
    "label": ["picture_id", "position", "name", "score", "content"],
    "text": ["picture_id", "position", "content", "score", "found"],
    "answer": ["answer_id", "picture_id", "recognizer", "source", "outcome", "cost_micro_usd", "result"],
    "place": ["place_id", "picture_id", "collection_id", "kind", "bucket", "key", "location"],
    "job": ["job_id", "collection_id", "picture_id", "state", "create_time", "end_time"],
}


def _rows(number: int, added: float, chance: random.Random) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield the rows of a picture. Three in ten were taken at any time, the others about when they were added."""
    share = chance.random() if chance.random() < 0.3 else max(0.0, added - chance.random() * 0.01)
    picture_id = _id(number, 0)
    drawn = {_drawn(chance, _PEOPLE_WEIGHTS) for _ in range(chance.choice((0, 0, 0, 0, 1, 1, 2)))}
    people = [(*PEOPLE[index], round(0.5 + chance.random() / 2, 4)) for index in drawn]
    labels = [_NAMES[index] for index in {_drawn(chance, _NAME_WEIGHTS) for _ in range(6)}]
    labels += [(name, "") for name, has in LABELS.items() if has(number, share)]
    found = [VOCABULARY[_drawn(chance, _WORD_WEIGHTS)] for _ in range(3)] if chance.random() < 0.2 else []
    file_name = f"IMG_{number:07d}.jpg"
    file = ("JPEG", 4000, 3000, 3_000_000, file_name, file_name.lower())
    score = max((score for *_, score in people), default="\\N")
    index = (_terms(people, labels), _words(file_name, people, labels, found))
    own = (picture_id, _COLLECTION, int(pb.PICTURE_STATE_RECOGNIZED), _hash(picture_id.hex))
    yield "picture", (*own, *file, _time(added), _time(share), 1, 2000, score, *index)
    for position, person in enumerate(people):
        yield "face", (_id(number, 1 + position), picture_id, position, 1, *person, _verdict(*person))
    for position, (name, parent) in enumerate(labels):
        label = v1.Label(name=name, parents=[parent] if parent else [], score=0.9)
        yield "label", (picture_id, position, name, 0.9, _bytes(label.SerializeToString()))
    for position, word in enumerate(found):
        text = v1.Text(content=word, score=0.9, box=_BOX)
        yield "text", (picture_id, position, word, 0.9, _bytes(text.SerializeToString()))
    key = f"{number // 1000}/{file_name}"
    yield "answer", (_id(number, 8), picture_id, "rekognition", 1, 1, 2000, f"\\\\x{chance.choice(_RESULTS)}")
    yield "place", (_id(number, 9), picture_id, _COLLECTION, 1, "photos", key, _hash(key))
    yield "job", (_id(number, 10), _COLLECTION, picture_id, 3, _time(added), _time(added))


def _verdict(person_id: str, name: str, score: float) -> str:
    state = v1.VERDICT_STATE_IDENTIFIED
    verdict = v1.Verdict(person_id=person_id, display_name=name, score=score, state=state, box=_BOX)
    return _bytes(verdict.SerializeToString())


_BOX = v1.BoundingBox(left=0.1, top=0.1, width=0.3, height=0.4)


def _drawn(chance: random.Random, weights: Sequence[float]) -> int:
    return chance.choices(range(len(weights)), cum_weights=weights)[0]


def _terms(people: Sequence[tuple[str, str, float]], labels: Sequence[tuple[str, str]]) -> str:
    found = {term(TermKind.PICTURE, _COLLECTION, ""), term(TermKind.COUNT, _COLLECTION, len(people))}
    for person_id, name, _ in people:
        own = [term(TermKind.PERSON, _COLLECTION, person_id), term(TermKind.NAME, _COLLECTION, name.lower())]
        found |= {*own, *(among(len(people), one) for one in own), identity(person_id, name.lower(), _COLLECTION)}
    found |= {term(TermKind.LABEL, _COLLECTION, name.lower()) for label in labels for name in label if name}
    found |= {term(TermKind.RECOGNIZER, _COLLECTION, "rekognition")}
    found |= {term(TermKind.VERDICT, _COLLECTION, 1)} if people else set()
    return " ".join(sorted(found))


def _words(
    file_name: str, people: Sequence[tuple[str, str, float]], labels: Sequence[tuple[str, str]], texts: Sequence[str]
) -> str:
    names = [*(name for _, name, _ in people), *(name for label in labels for name in label)]
    return " ".join(sorted(set(words(" ".join((file_name, *names, *texts))))))


def _id(number: int, kind: int) -> UUID:
    return UUID(int=(0x0190_0000_0000 + number) << 80 | 0x7 << 76 | 0x8 << 60 | kind)


def _time(share: float) -> str:
    return (_FIRST + timedelta(days=share * _DAYS)).isoformat()


def _hash(content: str) -> str:
    return _bytes(hashlib.sha256(content.encode()).digest())


def _bytes(content: bytes) -> str:
    return f"\\\\x{content.hex()}"
