"""Signatures and help of the subcommands about notifications. Imports gRPC only to run one of them."""

from typing import Annotated

import typer

from marquee.cli import options as shared
from marquee.cli.library import options as library
from marquee.cli.server import Server, calls_library
from marquee.library.notifications.enums import DeliveryState, NotificationTrigger

# ruff: noqa: B006, D301, PLC0415, PLR0913 - as in marquee.cli.commands

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
rules_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
_TRIGGERS = tuple(one.lower() for one in NotificationTrigger if one is not NotificationTrigger.UNSPECIFIED)
_STATES = tuple(one.lower() for one in DeliveryState if one is not DeliveryState.UNSPECIFIED)


def _one_of(names: tuple[str, ...], text: str) -> str:
    if text.lower() not in names:
        raise typer.BadParameter(f"{text} is none of {', '.join(names)}.")
    return text.upper()


def _trigger(text: str) -> str:
    return _one_of(_TRIGGERS, text)


def _state(text: str) -> str:
    return _one_of(_STATES, text)


@app.callback()
def notify() -> None:
    """Have people and programs told of what the library sees.

    \b
      marquee notify channels
      marquee notify test door
      marquee notify rules set "Ada is here" --on person --subject "Ada Lovelace" --channel door
      marquee notify deliveries --state dead

    Channels (webhooks, mail, Slack and others) are the operator's. The address is
    that of the library; see `marquee library --help`.
    """


app.add_typer(rules_app, name="rules")


@rules_app.callback()
@calls_library
def rules(
    context: typer.Context,
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ListFormat = shared.ListOutput.TABLE,
) -> None:
    """List the rules: what is told, and by which channels.

    \b
    Exit codes:
      0  the rules are listed
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.notify.run import list_rules

    if context.invoked_subcommand is None:
        raise typer.Exit(list_rules(server=server, timeout=timeout, output=output, collection=collection))
    shared.check_none_given(context)


@rules_app.command("set", no_args_is_help=True)
@calls_library
def set_(
    name: Annotated[str, typer.Argument(metavar="RULE", help="Name of the rule.")],
    *,
    on: Annotated[str, typer.Option(metavar="WHAT", parser=_trigger, help=f"What to tell of: {', '.join(_TRIGGERS)}.")],
    subject: Annotated[
        str,
        typer.Option(metavar="NAME", show_default=False, help="Which label, person, category or recognizer."),
    ] = "",
    channel: Annotated[list[str], typer.Option(metavar="NAME", help="Channel to tell it by. Repeatable.")],
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Least score of the label or the person.")] = 0.0,
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the daily cap, of budget. 0: 0.8.")] = 0.0,
    quiet: Annotated[int, typer.Option(min=0, metavar="SECONDS", help="Tell the same once within this time.")] = 0,
    digest: Annotated[int, typer.Option(min=0, metavar="SECONDS", help="Collect, and tell all at its end.")] = 0,
    disable: Annotated[bool, typer.Option("--disable", help="Let the rule rest.")] = False,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ListFormat = shared.ListOutput.TABLE,
) -> None:
    """Make a rule, or replace the one of this name. It is about what happens from then on.

    \b
      marquee notify rules set Strangers --on unknown --channel door --quiet 600
      marquee notify rules set Daily --on picture --channel mail --digest 86400
      marquee notify rules set Money --on budget --share 0.9 --channel mail

    \b
    Exit codes:
      0  the rule is set
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.notify.run import set_rule
    from marquee.library.notifications.requests import RuleOptions

    options = RuleOptions(
        subject=subject,
        min_score=min_score,
        budget_share=share,
        quiet_window=quiet,
        digest_window=digest,
        disabled=disable,
        collection=collection,
    )
    raise typer.Exit(set_rule(name, on, channel, options, server=server, timeout=timeout, output=output))


@rules_app.command("delete", no_args_is_help=True)
@calls_library
def delete(
    name: Annotated[str, typer.Argument(metavar="RULE", help="Name or ID of the rule.")],
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Delete a rule, with what it was still to tell.

    \b
    Exit codes:
      0  the rule is deleted
      1  there is no such rule, or the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.notify.run import delete_rule

    raise typer.Exit(delete_rule(name, server=server, timeout=timeout, output=output, collection=collection))


@app.command()
@calls_library
def channels(
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ListFormat = shared.ListOutput.TABLE,
) -> None:
    """List the channels that the operator has set.

    \b
    Exit codes:
      0  the channels are listed
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.notify.run import list_channels

    raise typer.Exit(list_channels(server=server, timeout=timeout, output=output, collection=collection))


@app.command("test", no_args_is_help=True)
@calls_library
def try_(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel.")],
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 30.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Send one real message by a channel, and say what became of it.

    \b
    Exit codes:
      0  the other side has taken the message
      1  it has not, or the call failed
      2  usage error, or there is no such channel
      3  the library is unreachable
    """
    from marquee.cli.notify.run import try_channel

    raise typer.Exit(try_channel(channel, server=server, timeout=timeout, output=output, collection=collection))


@app.command()
@calls_library
def deliveries(
    *,
    state: Annotated[
        str | None,
        typer.Option(metavar="STATE", parser=_state, show_default=False, help=f"Only these: {', '.join(_STATES)}."),
    ] = None,
    limit: library.Limit = 50,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: library.LinesFormat = shared.ListOutput.TABLE,
) -> None:
    """Show what was sent, what waits and what was given up, the newest first.

    \b
    Exit codes:
      0  the deliveries are shown
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.notify.run import list_deliveries

    chosen = state or DeliveryState.UNSPECIFIED
    end = list_deliveries(chosen, limit, server=server, timeout=timeout, output=output, collection=collection)
    raise typer.Exit(end)


@app.command()
@calls_library
def retry(
    delivery_ids: Annotated[
        list[str], typer.Argument(metavar="[DELIVERY_ID]...", help="Deliveries. Default: all that were given up.")
    ] = [],
    *,
    collection: shared.Collection = "",
    server: Server,
    timeout: shared.CallTimeout = 12.0,
    output: shared.ObjectFormat = shared.ListOutput.TABLE,
) -> None:
    """Send messages again that were given up.

    \b
    Exit codes:
      0  they are sent again
      1  the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.notify.run import retry as run

    raise typer.Exit(run(delivery_ids, server=server, timeout=timeout, output=output, collection=collection))
