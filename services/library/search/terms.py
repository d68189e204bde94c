"""Terms: what pictures are found by, written beside each as lexemes that one index holds.

A term is a letter for its kind and a hash of the collection and the value: none is ever another collection's.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, REAL, Text, Uuid, bindparam, func, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.v1 import recognizer_pb2 as pb
from services.library.database.tables import picture
from services.library.search.folding import fold, words

_MOST_WORDS = 4000
"""Of a picture, so that they fit into a tsvector."""


class TermKind(StrEnum):
    """Kind of a term; one of several kinds is for the value that is told of it here."""

    PERSON = "p"
    """person_id of somebody who is IDENTIFIED."""
    NAME = "n"
    """Folded display name of somebody who is IDENTIFIED."""
    IDENTITY = "i"
    """Both of one of them: the hash of the person_id, then that of the name."""
    COUNT = "k"
    """Number of people who are IDENTIFIED."""
    LABEL = "l"
    """Folded name of a label, a moderation label, or a parent of one."""
    CATEGORY = "c"
    """category_id."""
    RECOGNIZER = "r"
    """Folded name of a recognizer with an answer that is no failure."""
    VERDICT = "v"
    """Number of a VerdictState that a face has."""
    PICTURE = "a"
    """Nothing: every picture of the collection has it."""


_ROWS = """
SELECT picture_id, file_name,
  ARRAY(
    SELECT ROW(state, person_id, display_name, score) FROM face
    WHERE face.picture_id = picture.picture_id AND current ORDER BY position
  ) AS faces,
  ARRAY(
    SELECT name FROM face
    JOIN person_alias ON person_alias.person_id = CASE WHEN source <> 0 THEN CAST(face.person_id AS uuid) END
    WHERE face.picture_id = picture.picture_id AND current ORDER BY face.position, person_alias.position
  ) AS aliases,
  ARRAY(
    SELECT ROW(moderation, content) FROM label
    WHERE label.picture_id = picture.picture_id ORDER BY moderation, position
  ) AS labels,
  ARRAY(SELECT content FROM "text" WHERE "text".picture_id = picture.picture_id ORDER BY position) AS texts,
  ARRAY(
    SELECT ROW(category_id, name) FROM picture_category JOIN category USING (category_id)
    WHERE picture_category.picture_id = picture.picture_id AND present
  ) AS categories,
  ARRAY(
    SELECT DISTINCT recognizer FROM answer WHERE answer.picture_id = picture.picture_id AND outcome = ANY(:outcomes)
  ) AS recognizers,
  (
    SELECT LEAST(coalesce(sum(cost_micro_usd), 0), 9223372036854775807)::bigint FROM answer
    WHERE answer.picture_id = picture.picture_id
  ) AS cost
FROM picture WHERE picture_id = ANY(:ids)
"""
_FOUND = ("faces", "aliases", "labels", "texts", "categories", "recognizers")
_ANSWERED = [pb.OUTCOME_OK, pb.OUTCOME_PARTIAL]
_IDS = bindparam("ids", type_=ARRAY(Uuid))


async def index(connection: AsyncConnection, collection_id: int, picture_ids: Sequence[UUID]) -> None:
    """Have the collection's pictures found by what their rows say now; also work out their score and cost.

    Every change of faces, labels, texts, categories, answers or a name calls this in its transaction, once, with all
    pictures that it is about. They stay locked until it ends, but not against rows that refer to them: two changes that
    both have added some would wait for each other for ever.
    """
    columns = picture.c
    own = columns.collection_id == collection_id
    lock = select(columns.picture_id).where(own, columns.picture_id.in_(picture_ids)).order_by(columns.picture_id)
    ids = (await connection.execute(lock.with_for_update(key_share=True))).scalars().all()
    if not ids:
        return
    rows = await connection.execute(text(_ROWS).bindparams(_IDS), {"ids": ids, "outcomes": _ANSWERED})
    await connection.execute(_UPDATE, [_found_by(row, collection_id) for row in rows])


def of_new(collection_id: int, file_name: str) -> dict[str, Any]:
    """Return the columns by which a picture is found of which no more is known than its name."""
    row = SimpleNamespace(**dict.fromkeys(_FOUND, ()), picture_id=None, file_name=file_name, cost=0)
    found = _found_by(row, collection_id)
    terms, words = (func.array_to_tsvector(literal(found[name], ARRAY(Text))) for name in ("term_list", "word_list"))
    return {"terms": terms, "words": words, "folded_name": found["name"]}


def term(kind: TermKind, collection_id: int, value: object) -> str:
    """Return the collection's term of this kind for a value."""
    return f"{kind}{_hashed(kind, collection_id, value)}"


def among(count: int, term: str) -> str:
    """Return the term of a person_id or name in pictures with so many people; 1: it is that of all of them."""
    return f"{count}{term}"


def hash_of(term: str) -> str:
    """Return the term without the letter of its kind."""
    return term[1:]


def names_of(content: bytes, *, moderation: bool) -> list[str]:
    """Return the names of a label and its parents."""
    if moderation:
        found = pb.ModerationLabel.FromString(content)
        return [name for name in (found.name, found.parent) if name]
    label = pb.Label.FromString(content)
    return [label.name, *label.parents]


_FOUND_BY: dict[str, Any] = {
    "terms": func.array_to_tsvector(bindparam("term_list", type_=ARRAY(Text))),
    "words": func.array_to_tsvector(bindparam("word_list", type_=ARRAY(Text))),
    "folded_name": bindparam("name"),
    "score": bindparam("best", type_=REAL),
    "cost_micro_usd": bindparam("cost"),
}
_UPDATE = (
    update(picture)
    .where(
        picture.c.picture_id == bindparam("id"),
        or_(*(picture.c[name].is_distinct_from(value) for name, value in _FOUND_BY.items())),
    )
    .values(**_FOUND_BY, update_time=func.now())
)
"""A row that stays as it is costs nothing; a new version of it has entries in each index."""


def _found_by(row: Any, collection_id: int) -> dict[str, Any]:
    faces = [(state, person_id, name, score) for state, person_id, name, score in row.faces]
    named = [face for face in faces if face[0] == pb.VERDICT_STATE_IDENTIFIED and (face[1] or face[2])]
    labels = [name for moderation, content in row.labels for name in names_of(content, moderation=moderation)]
    categories = [name for _, name in row.categories]
    values = [
        (TermKind.PICTURE, ""),
        *((TermKind.LABEL, fold(label)) for label in labels),
        *((TermKind.CATEGORY, category_id) for category_id, _ in row.categories),
        *((TermKind.RECOGNIZER, fold(name)) for name in row.recognizers),
        *((TermKind.VERDICT, face[0]) for face in faces),
    ]
    people = _people_terms({(person_id, fold(name)) for _, person_id, name, _ in named}, collection_id)
    texts = (*(face[2] for face in named), row.file_name, *row.aliases, *categories, *labels, *row.texts)
    return {
        "id": row.picture_id,
        "term_list": sorted({*people, *(term(kind, collection_id, value) for kind, value in values)}),
        "word_list": _words_of(texts),
        "name": fold(row.file_name),
        "best": max((face[3] for face in named), default=None),
        "cost": row.cost,
    }


def _people_terms(people: set[tuple[str, str]], collection_id: int) -> list[str]:
    """Return the terms of named people, each a person_id and a folded name, one of which may be empty."""
    ids = {person_id or f"={name}" for person_id, name in people}
    found = [term(TermKind.COUNT, collection_id, len(ids))]
    names = {name or f"={person_id}" for person_id, name in people}
    for person_id, name in people:
        own = []
        if person_id:
            own.append((term(TermKind.PERSON, collection_id, person_id), len(ids)))
        if name:
            own.append((term(TermKind.NAME, collection_id, name), len(names)))
        found.append(identity(person_id, name, collection_id))
        for one, kinds in own:
            count = _fewest(len(people), len(ids), len(names)) if kinds > 1 else 1
            found += [one, among(count, one)]
    return found


def identity(person_id: str, name: str, collection_id: int) -> str:
    """Return the term of a person with this person_id and folded name."""
    hashes = (_hashed(TermKind.PERSON, collection_id, person_id), _hashed(TermKind.NAME, collection_id, name))
    return f"{TermKind.IDENTITY}{''.join(hashes)}"


def _fewest(people: int, ids: int, names: int) -> int:
    """Return how many person_ids and names it takes, or more, to tell all these people, who share some of them."""
    return people if people == ids == names else 2


def _words_of(texts: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for one in texts:
        found.update(dict.fromkeys(words(one)))
        if len(found) >= _MOST_WORDS:
            break
    return list(found)[:_MOST_WORDS]


def _hashed(kind: TermKind, collection_id: int, value: object) -> str:
    content = f"{collection_id}\0{kind}\0{value}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.blake2b(content, digest_size=8).digest())[:11].decode()
