"""Signatures and help of the subcommands that change pictures and categories."""

import typer

from marquee.cli import options as shared
from marquee.cli.library import options
from marquee.cli.server import Server, calls_library

# ruff: noqa: B006, D301, PLC0415, PLR0913 - as in marquee.cli.commands

app = typer.Typer(rich_markup_mode=None)


@app.command(no_args_is_help=True)
@calls_library
def recognize(
    picture_ids: options.PictureIds = [],
    *,
    ids_from: options.IdsFrom = None,
    recognizer: shared.Recognizers = [],
    feature: shared.Features = [],
    wait: options.Wait = False,
    dry_run: options.DryRun = False,
    collection: shared.Collection = "",
    server: Server,
    timeout: options.AddTimeout = 60.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Have pictures recognized again, such as with a new model.

    \b
      marquee library search --no-recognizer svm -n 0 -o ids | marquee library recognize --ids-from - --recognizer svm

    Earlier answers are kept. Without --feature: what was recognized before.

    \b
    Exit codes:
      0  the pictures are recognized or, without --wait, will be
      1  there is no such picture or, with --wait, one was not recognized; or a call
         failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run import change

    args = change.ChangeArgs(
        picture_ids=change.ids_of(picture_ids, ids_from),
        collection=collection,
        server=server,
        timeout=timeout,
        output=output,
    )
    chosen = {"recognizers": recognizer, "features": feature, "wait": wait}
    raise typer.Exit(change.recognize(args, chosen, dry_run=dry_run))


@app.command(no_args_is_help=True)
@calls_library
def delete(
    picture_ids: options.PictureIds = [],
    *,
    ids_from: options.IdsFrom = None,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Put pictures into the trash, from which they are erased after some weeks.

    `marquee library undelete` takes them out of it, `search --trash` shows it.

    \b
    Exit codes:
      0  the pictures are in the trash
      1  there is no such picture, or a call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run import change

    ids = change.ids_of(picture_ids, ids_from)
    args = change.ChangeArgs(picture_ids=ids, collection=collection, server=server, timeout=timeout, output=output)
    raise typer.Exit(change.delete(args))


@app.command(no_args_is_help=True)
@calls_library
def undelete(
    picture_ids: options.PictureIds = [],
    *,
    ids_from: options.IdsFrom = None,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Take pictures out of the trash.

    \b
    Exit codes:
      0  the pictures are out of the trash
      1  there is no such picture, or a call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run import change

    ids = change.ids_of(picture_ids, ids_from)
    args = change.ChangeArgs(picture_ids=ids, collection=collection, server=server, timeout=timeout, output=output)
    raise typer.Exit(change.undelete(args))


@app.command(no_args_is_help=True)
@calls_library
def erase(
    picture_ids: options.PictureIds = [],
    *,
    ids_from: options.IdsFrom = None,
    yes: shared.Yes = False,
    collection: shared.Collection = "",
    server: Server,
    timeout: options.AddTimeout = 60.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Erase pictures for ever, past the trash, with all that is known of them.

    Asks for confirmation. Prints a receipt of what was erased, where else the
    picture may be, and what the library cannot reach. The same file is refused if
    somebody adds it again. Needs the scope erase.

    \b
    Exit codes:
      0  the pictures are erased
      1  there is no such picture, a call failed, or the confirmation was declined
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run import change

    ids = change.ids_of(picture_ids, ids_from)
    args = change.ChangeArgs(picture_ids=ids, collection=collection, server=server, timeout=timeout, output=output)
    raise typer.Exit(change.erase(args, confirmed=yes))


@app.command(no_args_is_help=True)
@calls_library
def categorize(
    picture_ids: options.PictureIds = [],
    *,
    ids_from: options.IdsFrom = None,
    add: options.AddTo = [],
    remove: options.RemoveFrom = [],
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Put pictures into categories by hand, and take them out of others.

    \b
      marquee library categorize PICTURE_ID --add Favourites --remove Sports

    No rule of a category undoes it.

    \b
    Exit codes:
      0  the pictures are in these categories
      1  there is no such picture, or a call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run import change

    if not (add or remove):
        raise typer.BadParameter("say which category.", param_hint="--add, --remove")
    ids = change.ids_of(picture_ids, ids_from)
    args = change.ChangeArgs(picture_ids=ids, collection=collection, server=server, timeout=timeout, output=output)
    raise typer.Exit(change.categorize(args, add, remove))


categories_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(categories_app, name="categories")


@categories_app.callback()
@calls_library
def categories(
    context: typer.Context,
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ListFormat = shared.ListOutput.TABLE,
) -> None:
    """List the categories, with their rules and the number of their pictures.

    \b
    Exit codes:
      0  the categories are listed
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.categories import list_all

    if context.invoked_subcommand is None:
        raise typer.Exit(list_all(server=server, timeout=timeout, output=output, collection=collection))
    shared.check_none_given(context)


@categories_app.command("set", no_args_is_help=True)
@calls_library
def set_(
    name: options.CategoryName,
    *,
    label: options.RuleLabels = [],
    person: options.RulePeople = [],
    min_score: options.RuleScore = 0.0,
    rename: options.Rename = "",
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ListFormat = shared.ListOutput.TABLE,
) -> None:
    """Make a category, or replace its rules.

    \b
      marquee library categories set Sports --label Sport --label Stadium --min-score 0.8
      marquee library categories set Family --person "Ada Lovelace" --person Byron
      marquee library categories set Favourites           (by hand alone)

    Pictures that any rule fits are in the category within a minute.

    \b
    Exit codes:
      0  the category is set
      1  there is no such category to rename, or the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.categories import set_one
    from marquee.library.results import CategoryRule

    rules = [CategoryRule(label=one, min_score=min_score) for one in label]
    rules += [CategoryRule(person=one, min_score=min_score) for one in person]
    end = set_one(name, rules, rename=rename, server=server, timeout=timeout, output=output, collection=collection)
    raise typer.Exit(end)


@categories_app.command("delete", no_args_is_help=True)
@calls_library
def delete_category(
    name: options.CategoryName,
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Delete a category; its pictures stay.

    \b
    Exit codes:
      0  the category is deleted
      1  there is no such category, or the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.run.categories import delete as run

    raise typer.Exit(run(name, server=server, timeout=timeout, output=output, collection=collection))
