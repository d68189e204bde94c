"""Undo, enroll, reconcile, adopt, erase, export, and say who looked up whom."""

import sys
from collections.abc import Mapping, Sequence

import typer

from marquee.cli.exits import Exit
from marquee.cli.library.people.run.names import face_ids_of, person_id_of, person_of
from marquee.cli.library.people.run.tables import print_action, print_found, print_undo
from marquee.cli.library.people.session import Session
from marquee.cli.library.run.search import shown_time
from marquee.cli.output import count, words
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_error, print_json, print_note
from marquee.draw.text import clean
from marquee.errors import PersonNotFound
from marquee.library.people.client import PeopleClient
from marquee.library.people.enums import FaceEnrollmentState
from marquee.library.people.models import Audit, FaceEnrollment, PersonReceipt, Reconciliation
from marquee.library.people.requests import EnrollmentChoice, PersonErasure
from marquee.library.people.results import Action
from marquee.records import Status


def undo(session: Session, action_ids: Sequence[str]) -> Exit:
    """Undo actions in this order. Raises typer.Exit."""
    with session.people() as client:
        for action_id in action_ids:
            undone = client.undo(action_id, **session.own)
            if session.is_json:
                print_json(undone.to_dict(), one_line=len(action_ids) > 1)
            else:
                print_action(session, undone.action_id, f"Undone: {undone.action.summary}")
    return Exit.OK


def actions(session: Session, who: str, limit: int) -> Exit:
    """Print what was done, newest first. Raises typer.Exit."""
    with session.people() as client:
        person_id = person_id_of(client, session, who)
        print_found(session, client.actions(person_id, **session.own), limit, _print_actions, lambda one: one.action_id)
    return Exit.OK


def enroll(session: Session, who: str, faces: Sequence[str], options: EnrollmentChoice) -> Exit:
    """Enroll a person's faces. Raises typer.Exit."""
    face_ids = face_ids_of(session, faces) if faces else []
    with session.people() as client:
        person_id = person_id_of(client, session, who)
        enrolled = client.enroll(person_id, face_ids, **options, **session.own)
    if session.is_json:
        print_json(enrolled.to_dict())
    else:
        _print_enrollments(enrolled.enrollments)
    is_enrolled = any(one.state is FaceEnrollmentState.ENROLLED for one in enrolled.enrollments)
    return max(_exit_of(enrolled.failures), Exit.OK if is_enrolled else Exit.FAILED)


def reconcile(session: Session, who: str, recognizers: Sequence[str], *, mend: bool) -> Exit:
    """Print how recognizers and the library differ, and mend it if asked to. Raises typer.Exit."""
    with session.people() as client:
        person_id = person_id_of(client, session, who)
        found = client.reconcile(person_id, mend=mend, recognizers=recognizers, **session.own)
    if session.is_json:
        print_json(found.to_dict())
    else:
        _print_differences(found)
    unmended = mend and any(one.status.code != "OK" for one in found.differences)
    return max(_exit_of(found.failures), Exit.FAILED if unmended else Exit.OK)


def adopt(session: Session, recognizer_collection: str, recognizers: Sequence[str]) -> Exit:
    """Take over the people whom recognizers know. Raises typer.Exit."""
    with session.people() as client:
        adopted = client.adopt(recognizer_collection, recognizers=recognizers, **session.own)
    if session.is_json:
        print_json(adopted.to_dict())
    else:
        print_line(f"{adopted.adopted_count:,} adopted, {adopted.known_count:,} known before.")
        for name in adopted.same_names:
            print_line(
                Text(clean(f"  Several are called {name}: `marquee library people merge` if they are one."), "yellow")
            )
        print_undo(adopted.action_id)
    return _exit_of(adopted.failures)


def erase(session: Session, who: str, options: PersonErasure, *, confirmed: bool) -> Exit:
    """Ask, erase a person, and print the receipt. Raises typer.Exit, BadParameter without a terminal to ask at."""
    if not confirmed and not sys.stdin.isatty():
        raise typer.BadParameter("cannot ask for confirmation without a terminal: pass --yes.", param_hint="--yes")
    with session.people() as client:
        person_id, name = _subject(client, session, who)
        if not confirmed and not typer.confirm(_question(name, options), err=True):
            return Exit.FAILED
        receipt = client.erase(person_id, **options, **session.own)
    if session.is_json:
        print_json(receipt.to_dict())
    else:
        _print_receipt(receipt)
    return Exit.OK


def export(session: Session, who: str, file: str) -> Exit:
    """Write all that is held about a person. Raises typer.Exit."""
    try:
        with session.people() as client:
            person = person_of(client, session, who)
            client.export(person.person_id, sys.stdout.buffer if file == "-" else file, collection=session.collection)
    except OSError as error:
        print_error(file, error.strerror or str(error))
        return Exit.FAILED
    print_note(f"What is held about {person.display_name} is in {file}." if file != "-" else "Exported.")
    return Exit.OK


def audits(session: Session, who: str, limit: int) -> Exit:
    """Print who looked up whom. Raises typer.Exit."""
    with session.people() as client:
        person_id = person_id_of(client, session, who)
        print_found(session, client.audits(person_id, **session.own), limit, _print_audits)
    return Exit.OK


def _exit_of(failures: Mapping[str, Status]) -> Exit:
    """Print which recognizers failed, and why; those that do not enroll are left out."""
    failed = {name: status for name, status in sorted(failures.items()) if status.code != "UNIMPLEMENTED"}
    for name, status in failed.items():
        print_error(name, status.message or status.code)
    return Exit.FAILED if failed else Exit.OK


def _print_actions(found: Sequence[Action]) -> None:
    table = Table("!Action", "When", "By", "What")
    for one in found:
        undone = " (undone)" if one.undone_by else ""
        table.add_row(clean(one.action_id), shown_time(one.create_time), clean(one.caller), clean(one.summary + undone))
    table.print()


def _print_enrollments(found: Sequence[FaceEnrollment]) -> None:
    table = Table("!Face", "Recognizer", "State", "!Its ID", "Why")
    for one in found:
        style = "green" if one.state is FaceEnrollmentState.ENROLLED else "yellow"
        why = one.status.message if one.status.code != "OK" else ""
        table.add_row(
            clean(one.face_id),
            clean(one.recognizer),
            Text(words(one.state), style),
            clean(one.external_face_id),
            clean(why),
        )
    table.print()


def _print_differences(found: Reconciliation) -> None:
    if found.differences:
        table = Table("What differs", "Recognizer", "Name", "!Person", "!Face", "Mended")
        for one in found.differences:
            mended = "yes" if one.mended else one.status.message if one.status.code != "OK" else "no"
            person, face = one.person_id or one.external_id, one.face_id or one.external_face_id
            names = (clean(one.recognizer), clean(one.display_name), clean(person), clean(face))
            table.add_row(words(one.kind), *names, clean(mended))
        table.print()
    more = ", and more" if found.more else ""
    print_line(f"{count(len(found.differences), 'difference')}{more}, of {found.person_count:,} people compared.")


def _subject(client: PeopleClient, session: Session, who: str) -> tuple[str, str]:
    """Return the id of who is to be erased, and how to call them: one who is being erased has no name any more."""
    try:
        person = person_of(client, session, who)
    except PersonNotFound:
        return who, who
    return person.person_id, f"{person.display_name} ({count(person.face_count, 'face')})"


def _question(name: str, options: PersonErasure) -> str:
    pictures = " and the pictures that show them alone" if options.get("erase_pictures") else ""
    objects = " with their objects in S3" if options.get("erase_objects") else ""
    return f"Erase {clean(name)}{pictures}{objects} for ever, here and at all recognizers?"


def _print_receipt(receipt: PersonReceipt) -> None:
    done = "erased" if receipt.complete else "nobody's name from now on; the library goes on erasing"
    print_line(
        Text(f"{clean(receipt.person_id)}  {done}", "bold"), Text(f"  receipt {clean(receipt.receipt_id)}", "dim")
    )
    for name, number in sorted(receipt.erased.items()):
        print_line(f"  {clean(name)}: {number:,}")
    for name, status in sorted(receipt.recognizers.items()):
        is_done = status.code == "OK"
        what = "removed" if is_done else f"{status.message or status.code}; it is tried again"
        print_line(Text(clean(f"  {name}: {what}"), "" if is_done else "yellow"))
    if receipt.picture_receipt_ids:
        print_line(clean(f"  {count(len(receipt.picture_receipt_ids), 'picture')} erased, too"))
    for line in receipt.beyond_reach:
        print_line(Text(clean(f"  Beyond reach: {line}"), "yellow"))
    if not receipt.complete:
        print_note("Type the command again with the ID to see how far it is.")


def _print_audits(found: Sequence[Audit]) -> None:
    table = Table("When", "Who", "Did", "!Person")
    for one in found:
        table.add_row(
            shown_time(one.create_time), clean(one.caller), clean(one.method), clean(one.person_id or "erased")
        )
    table.print()
