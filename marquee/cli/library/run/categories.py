"""List, set and delete categories."""

from collections.abc import Iterable, Sequence

from marquee.cli.exits import Exit, call_errors
from marquee.cli.library.run.search import shown_time
from marquee.cli.options import ListOutput
from marquee.cli.server import Server
from marquee.cli.table import Table, print_line
from marquee.cli.terminal import print_json
from marquee.draw.text import clean
from marquee.errors import CategoryNotFound
from marquee.library.client import LibraryClient
from marquee.library.results import Category, CategoryRule


def list_all(*, server: Server, timeout: float, output: ListOutput, collection: str) -> Exit:
    """Print the categories. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_library() as client:
        categories = list(client.categories(collection=collection, timeout=timeout))
    _print(categories, output)
    return Exit.OK


def set_one(  # noqa: PLR0913 - each is an option
    name: str,
    rules: Sequence[CategoryRule],
    *,
    rename: str,
    server: Server,
    timeout: float,
    output: ListOutput,
    collection: str,
) -> Exit:
    """Create the category, or change it. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_library() as client:
        before = _find(client, name, collection, timeout) if rename else None
        category = client.set_category(
            rename or name,
            rules or (before.rules if before else ()),
            category_id=before.category_id if before else "",
            collection=collection,
            timeout=timeout,
        )
    _print([category], output)
    return Exit.OK


def delete(name: str, *, server: Server, timeout: float, output: ListOutput, collection: str) -> Exit:
    """Delete the category. Raises typer.Exit if there is none, or the call fails."""
    with call_errors(output), server.connect_library() as client:
        category = _find(client, name, collection, timeout)
        client.delete_category(category.category_id, collection=collection, timeout=timeout)
    if output is ListOutput.JSON:
        print_json(category.to_dict())
    else:
        print_line(f"{clean(category.name)} is deleted; its pictures stay.")
    return Exit.OK


def _find(client: LibraryClient, name: str, collection: str, timeout: float) -> Category:
    """Return the category of that name, in any case, or with that id. Raises CategoryNotFound."""
    categories = client.categories(collection=collection, timeout=timeout)
    same = (one for one in categories if name == one.category_id or one.name.casefold() == name.casefold())
    if (found := next(same, None)) is None:
        raise CategoryNotFound(
            f"There is no category {name}. `marquee library categories` lists those that there are.", code="NOT_FOUND"
        )
    return found


def _print(categories: Sequence[Category], output: ListOutput) -> None:
    if output is ListOutput.JSON:
        print_json([category.to_dict() for category in categories])
    elif categories:
        table = Table("Category", ">Pictures", "Rules", "!ID", "Since")
        for one in categories:
            rules = "\n".join(clean(text) for text in _rules(one.rules)) or "by hand"
            table.add_row(
                clean(one.name), f"{one.picture_count:,}", rules, clean(one.category_id), shown_time(one.create_time)
            )
        table.print()
    else:
        print_line("There are no categories yet; `marquee library categories set` makes one.")


def _rules(rules: Sequence[CategoryRule]) -> Iterable[str]:
    for rule in rules:
        what = f"label {rule.label}" if rule.label else f"person {rule.person}"
        yield what + (f" from {rule.min_score:.2f}" if rule.min_score else "")
