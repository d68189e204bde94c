"""Rules, channels and deliveries: listed, changed, tested and tried again."""

from collections.abc import Sequence
from itertools import islice

from marquee.cli.exits import Exit, call_errors
from marquee.cli.library.run.search import shown_time
from marquee.cli.options import ListOutput
from marquee.cli.output import count, words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_error, print_json
from marquee.draw.text import clean
from marquee.errors import RuleNotFound
from marquee.library.notifications.client import NotificationClient
from marquee.library.notifications.enums import DeliveryState
from marquee.library.notifications.requests import RuleOptions
from marquee.library.notifications.results import Delivery, DeliveryCounts, NotificationRule

_MAX_PAGE = 1000
_STYLES = {DeliveryState.SENT: "green", DeliveryState.SENDING: "yellow", DeliveryState.DEAD: "red"}


def list_rules(*, server: Server, timeout: float, output: ListOutput, collection: str) -> Exit:
    """Print the rules. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_notifications() as client:
        rules = list(client.rules(collection=collection, timeout=timeout))
    _print_rules(rules, output)
    return Exit.OK


def set_rule(  # noqa: PLR0913 - each is an option
    name: str,
    trigger: str,
    channels: Sequence[str],
    options: RuleOptions,
    *,
    server: Server,
    timeout: float,
    output: ListOutput,
) -> Exit:
    """Make the rule, or replace it. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_notifications() as client:
        rule = client.set_rule(name, trigger, channels, timeout=timeout, **options)
    _print_rules([rule], output)
    return Exit.OK


def delete_rule(name: str, *, server: Server, timeout: float, output: ListOutput, collection: str) -> Exit:
    """Delete the rule. Raises typer.Exit if there is none, or the call fails."""
    with call_errors(output), server.connect_notifications() as client:
        rule = _find(client, name, collection, timeout)
        client.delete_rule(rule.rule_id, collection=collection, timeout=timeout)
    if output is ListOutput.JSON:
        print_json(rule.to_dict())
    else:
        print_line(f"{clean(rule.name)} is deleted.")
    return Exit.OK


def list_channels(*, server: Server, timeout: float, output: ListOutput, collection: str) -> Exit:
    """Print the channels. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_notifications() as client:
        channels = client.channels(collection=collection, timeout=timeout)
    if output is ListOutput.JSON:
        print_json([channel.to_dict() for channel in channels])
    elif channels:
        table = Table("Channel", "Type")
        for channel in channels:
            table.add_row(clean(channel.name), clean(channel.type))
        table.print()
    else:
        print_line("There are no channels; the operator sets them, by MARQUEE_LIBRARY_CHANNELS.")
    return Exit.OK


def try_channel(channel: str, *, server: Server, timeout: float, output: ListOutput, collection: str) -> Exit:
    """Send a message, and print what became of it. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_notifications() as client:
        result = client.test(channel, collection=collection, timeout=timeout)
    is_fine = result.status.code == "OK"
    if output is ListOutput.JSON:
        print_json(result.to_dict())
    elif is_fine:
        print_line(
            clean(f"{channel} has taken message {result.delivery_id} in {(result.duration or 0) * 1000:.0f} ms.")
        )
    if not is_fine:
        print_error(channel, result.status.message)
    return Exit.OK if is_fine else Exit.FAILED


def list_deliveries(  # noqa: PLR0913 - each is an option
    state: str, limit: int, *, server: Server, timeout: float, output: ListOutput, collection: str
) -> Exit:
    """Print the deliveries, newest first. Raises typer.Exit if a call fails."""
    with call_errors(output), server.connect_notifications() as client:
        size = min(limit or _MAX_PAGE, _MAX_PAGE)
        found = client.deliveries(state, page_size=size, collection=collection, timeout=timeout)
        if output is ListOutput.JSON:
            for delivery in islice(found, limit or None):
                print_json(delivery.to_dict(), one_line=True)
            return Exit.OK
        shown = list(islice(found, limit or None))
        counts = client.delivery_counts(collection=collection, timeout=timeout)
    _print_deliveries(shown, counts)
    return Exit.OK


def retry(delivery_ids: Sequence[str], *, server: Server, timeout: float, output: ListOutput, collection: str) -> Exit:
    """Try deliveries again. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_notifications() as client:
        number = client.retry(delivery_ids, collection=collection, timeout=timeout)
    if output is ListOutput.JSON:
        print_json({"delivery_count": number})
    else:
        print_line(f"{count(number, 'message')} {'is' if number == 1 else 'are'} sent again.")
    return Exit.OK


def _find(client: NotificationClient, name: str, collection: str, timeout: float) -> NotificationRule:
    """Return the rule of that name, in any case, or with that id. Raises RuleNotFound."""
    rules = client.rules(collection=collection, timeout=timeout)
    same = (one for one in rules if name == one.rule_id or one.name.casefold() == name.casefold())
    if (found := next(same, None)) is None:
        raise RuleNotFound(
            f"There is no rule {name}. `marquee notify rules` lists those that there are.", code="NOT_FOUND"
        )
    return found


def _print_rules(rules: Sequence[NotificationRule], output: ListOutput) -> None:
    if output is ListOutput.JSON:
        print_json([rule.to_dict() for rule in rules])
    elif rules:
        table = Table("Rule", "On", "Channels", "When", "!ID")
        for rule in rules:
            channels = clean(", ".join(rule.channels))
            table.add_row(clean(rule.name), clean(_what(rule)), channels, _when(rule), clean(rule.rule_id))
        table.print()
    else:
        print_line("There are no rules yet; `marquee notify rules set` makes one.")


def _what(rule: NotificationRule) -> str:
    subject = f" {rule.subject}" if rule.subject else ""
    score = f" from {rule.min_score:.2f}" if rule.min_score else ""
    share = f" from {rule.budget_share:.0%}" if rule.budget_share else ""
    return f"{words(rule.trigger)}{subject}{score}{share}"


def _when(rule: NotificationRule) -> str:
    if rule.disabled:
        return "never: it rests"
    if rule.digest_window:
        return f"every {rule.digest_window:.0f} s"
    return f"once in {rule.quiet_window:.0f} s" if rule.quiet_window else "at once"


def _print_deliveries(deliveries: Sequence[Delivery], counts: DeliveryCounts) -> None:
    if deliveries:
        table = Table("!Delivery", "Rule", "Channel", "State", ">Attempts", ">Pictures", "!Since", "Reason")
        for one in deliveries:
            again = f" Again at {shown_time(one.next_attempt_time)}." if one.next_attempt_time else ""
            reason = f"{one.status.message}{again}" if one.status.code != "OK" else ""
            table.add_row(
                clean(one.delivery_id),
                clean(one.occurrence.rule_name),
                clean(one.channel),
                Text(words(one.state), _STYLES.get(one.state, "")),
                f"{one.attempts:,}",
                f"{one.occurrence.picture_count:,}",
                shown_time(one.create_time),
                clean(reason),
            )
        table.print()
    again = "; `marquee notify retry` sends them again" if counts.dead_count else ""
    line = f"{count(counts.pending_count, 'message')} waiting, {counts.dead_count:,} given up{again}"
    print_line(Text(line, "dim"))
