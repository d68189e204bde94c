"""Categories: made, listed and filled by hand."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import uuid6
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from services.library.categories import hand, rules
from services.library.categories.hand import folded
from services.library.database.change import Change, Changes
from services.library.database.database import Database
from services.library.database.identifiers import uuid_of
from services.library.database.tables import (
    RuleKind,
    category,
    category_rule,
    deleted_category,
    picture,
    picture_category,
)
from services.library.pictures import view
from services.runtime import requests
from services.runtime.errors import CategoryNotFound, InvalidRequest

_KINDS = {"label": RuleKind.LABEL, "person": RuleKind.PERSON}


class Categories:
    """SetCategory, ListCategories, DeleteCategory and CategorizePicture."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def set(self, request: pb.SetCategoryRequest) -> pb.SetCategoryResponse:
        """Create or change a category. Raises CategoryNotFound and InvalidRequest."""
        name = folded(request.category.name, "category.name")
        rows = [_rule_row(position, rule) for position, rule in enumerate(request.category.rules)]

        async def make(change: Change) -> pb.SetCategoryResponse:
            await rules.lock(change.connection, change.collection_id)
            category_id = await _saved(change, request.category, name)
            await change.connection.execute(delete(category_rule).where(category_rule.c.category_id == category_id))
            if rows:
                values = [{"category_id": category_id, **row} for row in rows]
                await change.connection.execute(insert(category_rule), values)
            await change.record("category.set", data={"category_id": str(category_id), "name": request.category.name})
            (result,) = await _shown(change.connection, request.collection, category.c.category_id == category_id)
            return pb.SetCategoryResponse(category=result)

        return await self._changes.once(request, pb.SetCategoryResponse, make)

    async def list(self, request: pb.ListCategoriesRequest) -> pb.ListCategoriesResponse:
        """Return a page of categories. Raises InvalidRequest."""
        after, size = _decode(request.page_token), requests.page_size_of(request)
        collection_id = await self._database.collection_id(request.collection, make=False)
        where = (category.c.collection_id == collection_id) & (category.c.folded_name > after)
        async with self._database.begin() as connection:
            found = await _shown(connection, request.collection, where, size + 1)
        page = found[:size]
        token = _encode(folded(page[-1].name, "name")) if len(found) > size else ""
        return pb.ListCategoriesResponse(categories=page, next_page_token=token)

    async def delete(self, request: pb.DeleteCategoryRequest) -> pb.DeleteCategoryResponse:
        """Delete a category. Raises CategoryNotFound."""

        async def make(change: Change) -> pb.DeleteCategoryResponse:
            await rules.lock(change.connection, change.collection_id)
            gone = delete(category).where(*_key(change, request.category_id)).returning(category.c.name)
            name = (await change.connection.execute(gone)).scalar_one_or_none()
            if name is None:
                raise _not_found(request.category_id)
            forgotten = {"category_id": UUID(request.category_id), "collection_id": change.collection_id}
            await change.connection.execute(insert(deleted_category).values(**forgotten))
            await change.record("category.deleted", data={"category_id": request.category_id, "name": name})
            return pb.DeleteCategoryResponse()

        return await self._changes.once(request, pb.DeleteCategoryResponse, make)

    async def categorize(self, request: pb.CategorizePictureRequest) -> pb.CategorizePictureResponse:
        """Put a picture into categories, or take it out.

        Raises PictureNotFound, CategoryNotFound and InvalidRequest.
        """
        if not request.add and not request.remove:
            raise InvalidRequest("Nothing to do: set add or remove.", field="add")

        async def make(change: Change) -> pb.CategorizePictureResponse:
            picture_id = await view.find(change.connection, change.collection_id, request.picture_id, lock=True)
            await hand.put(change, picture_id, request.add, request.remove)
            (result,) = await view.pictures_of(change.connection, change.collection, [picture_id])
            return pb.CategorizePictureResponse(picture=result)

        return await self._changes.once(request, pb.CategorizePictureResponse, make)


def _rule_row(position: int, rule: pb.CategoryRule) -> dict[str, Any]:
    field = f"category.rules[{position}]"
    kind = rule.WhichOneof("condition")
    if kind is None:
        raise InvalidRequest("A rule needs a label or a person.", field=field)
    if not 0 <= rule.min_score <= 1:
        raise InvalidRequest(f"min_score is {rule.min_score:g}; it must be 0 to 1.", field=f"{field}.min_score")
    value = getattr(rule, kind)
    looked_at = {"kind": _KINDS[kind], "value": value, "folded_value": folded(value, f"{field}.{kind}")}
    return {"position": position, "min_score": rule.min_score, **looked_at}


async def _saved(change: Change, wanted: pb.Category, name: str) -> UUID:
    """Create the category, or change its name; pictures are to follow. Raises CategoryNotFound and InvalidRequest."""
    columns = category.c
    named = select(columns.category_id).where(
        columns.collection_id == change.collection_id, columns.folded_name == name
    )
    same_name = (await change.connection.execute(named)).scalar_one_or_none()
    if wanted.category_id and same_name is not None and str(same_name) != wanted.category_id:
        raise InvalidRequest(f"There is another category of the name {wanted.name!r}.", field="category.name")
    values = {"name": wanted.name, "folded_name": name, "applied": False, "applied_id": None}
    if not wanted.category_id and same_name is None:
        new_id = UUID(int=uuid6.uuid7().int)
        own = {"category_id": new_id, "collection_id": change.collection_id}
        await change.connection.execute(insert(category).values(**own, **values))
        return new_id
    key = _key(change, wanted.category_id or str(same_name))
    changed = update(category).where(*key).values(revision=columns.revision + 1, **values)
    category_id = (await change.connection.execute(changed.returning(columns.category_id))).scalar_one_or_none()
    if category_id is None:
        raise _not_found(wanted.category_id)
    return UUID(int=category_id.int)


async def _shown(
    connection: AsyncConnection, collection: str, where: Any, limit: int | None = None
) -> Sequence[pb.Category]:
    """Return the categories by name, with their rules and the number of their pictures."""
    inside = (picture_category.c.category_id == category.c.category_id) & picture_category.c.present
    counted = picture.c.delete_time.is_(None) & picture.c.redirect_id.is_(None)
    count = select(func.count()).select_from(picture_category.join(picture)).where(inside, counted)
    wanted = select(category, count.scalar_subquery().label("pictures")).where(where)
    rows = (await connection.execute(wanted.order_by(category.c.folded_name).limit(limit))).all()
    of_these = category_rule.c.category_id.in_([row.category_id for row in rows])
    ordered = select(category_rule).where(of_these).order_by(category_rule.c.position)
    by_category: dict[UUID, list[Any]] = {}
    for rule in await connection.execute(ordered):
        by_category.setdefault(rule.category_id, []).append(rule)
    return [_category(collection, row, by_category.get(row.category_id, ())) for row in rows]


def _category(collection: str, row: Any, its_rules: Iterable[Any]) -> pb.Category:
    return pb.Category(
        category_id=str(row.category_id),
        collection=collection,
        name=row.name,
        rules=[_rule(rule) for rule in its_rules],
        picture_count=row.pictures,
        create_time=view.timestamp(row.create_time),
    )


def _rule(row: Any) -> pb.CategoryRule:
    if row.kind == RuleKind.LABEL:
        return pb.CategoryRule(label=row.value, min_score=row.min_score)
    return pb.CategoryRule(person=row.value, min_score=row.min_score)


def _key(change: Change, category_id: str) -> tuple[Any, Any]:
    """Return the conditions for the category. Raises CategoryNotFound for a text that is no identifier."""
    if (parsed := uuid_of(category_id)) is None:
        raise _not_found(category_id)
    return category.c.collection_id == change.collection_id, category.c.category_id == parsed


def _not_found(category_id: str) -> CategoryNotFound:
    return CategoryNotFound(f"The collection has no category {category_id!r}.", field="category_id")


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decode(token: str) -> str:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        text = "\0"
    if "\0" in text:  # which PostgreSQL has no text with
        raise InvalidRequest("Invalid page_token.", field="page_token")
    return text
