"""Embed faces, compare and use models, export decisions, and measure the index."""

import sys
import time

from marquee.cli.exits import Exit
from marquee.cli.library.people.session import Session
from marquee.cli.output import count
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import Progress, print_error, print_json, print_note
from marquee.draw.text import clean
from marquee.library.people.client import PeopleClient
from marquee.library.people.models import EmbeddingRun, IndexCheck, ModelComparison, VectorModel

_LOOK_SECONDS = 1.0
"""Between two looks how far the embedding is."""


def list_all(session: Session) -> Exit:
    """Print the models, and how far the embedding is. Raises typer.Exit."""
    with session.people() as client:
        found = client.models(**session.own)
    if session.is_json:
        print_json(found.to_dict())
        return Exit.OK
    table = Table(">Model", "Name", "Version", "Metric", ">Faces", ">Assign", ">Suggest", "From", "Used")
    for one in found.models:
        names = (str(one.model_id), clean(one.name), clean(one.version), clean(one.metric), f"{one.face_count:,}")
        bands = (_distance(one.assign_distance), _distance(one.suggest_distance), clean(one.distances_from))
        table.add_row(*names, *bands, Text("yes", "green") if one.used else "")
    table.print()
    if found.embedding:
        _print_run(found.embedding)
    return Exit.OK


def embed(session: Session, recognizer: str, *, stop: bool, wait: bool) -> Exit:
    """Have all faces embedded, or stop that. Raises typer.Exit."""
    with session.people() as client:
        run = client.embed(recognizer, stop=stop, **session.own)
        if wait and not stop:
            run = _waited(session, client, run)
    if session.is_json:
        print_json(run.to_dict())
    else:
        _print_run(run)
    return Exit.FAILED if wait and run.status.code != "OK" else Exit.OK


def compare(session: Session, new: int, old: int) -> Exit:
    """Print how two models do on what was decided. Raises typer.Exit."""
    with session.people() as client:
        comparison = client.compare_models(new, old, **session.own)
    if session.is_json:
        print_json(comparison.to_dict())
    else:
        _print_comparison(comparison)
    return Exit.OK


def use(session: Session, model_id: int) -> Exit:
    """Have people compared by a model from now on. Raises typer.Exit."""
    with session.people() as client:
        model = client.use_model(model_id, **session.own)
    if session.is_json:
        print_json(model.to_dict())
    else:
        print_line(f"People are compared by {_model(model)} from now on, of {count(model.face_count, 'face')}.")
    return Exit.OK


def export_decisions(session: Session, file: str, form: str, least_faces: int) -> Exit:
    """Write decided faces into a tar file. Raises typer.Exit."""
    is_stdout = file == "-"
    try:
        with session.people() as client, Progress(0) as progress:
            number = client.export_decisions(
                sys.stdout.buffer if is_stdout else file,
                form,
                least_faces=least_faces,
                collection=session.collection,
                progress=None if is_stdout else progress.show,
            )
    except OSError as error:
        print_error(file, error.strerror or str(error))
        return Exit.FAILED
    print_note(f"{count(number, 'face')}{'' if is_stdout else f' in {file}'}")
    return Exit.OK


def check_index(session: Session, faces: int, neighbours: int) -> Exit:
    """Print how many of the nearest faces the index finds. Raises typer.Exit."""
    with session.people() as client:
        check = client.check_index(faces, neighbours, **session.own)
    if session.is_json:
        print_json(check.to_dict())
    else:
        _print_check(check)
    return Exit.OK


def _waited(session: Session, client: PeopleClient, run: EmbeddingRun) -> EmbeddingRun:
    """Return the run once it has ended."""
    with Progress(0) as progress:
        while run.running and run.left_count:
            progress.show(run.done_count, run.done_count + run.left_count)
            time.sleep(_LOOK_SECONDS)
            run = client.models(**session.own).embedding or run
    return run


def _print_run(run: EmbeddingRun) -> None:
    facts = [f"{run.done_count:,} embedded", f"{run.left_count:,} left"]
    facts += [f"{run.failed_count:,} cannot be"] if run.failed_count else []
    state = "under way" if run.running else "not under way"
    by = clean(f" by {run.recognizer}") if run.recognizer else ""
    print_line(f"Embedding{by}: {', '.join(facts)}; {state}.")
    if run.status.code != "OK":
        print_line(Text(clean(f"  {run.status.code}: {run.status.message}"), "yellow"))


def _print_check(check: IndexCheck) -> None:
    of = f" of {_model(check.model)}" if check.model else ""
    print_line(
        Text(f"{check.recall:.1%}", "bold"),
        f" of the {check.neighbour_count} nearest are found, for {count(check.sample_size, 'face')}{of}:",
    )
    print_line(
        f"  {check.index_milliseconds:.1f} ms by the index, {check.exact_milliseconds:.1f} ms by comparing with all"
    )


def _print_comparison(comparison: ModelComparison) -> None:
    """Print what the new model does better, what worse, and who it is."""
    if not comparison.face_count:
        print_line("There is nothing to compare: nobody was decided in two pictures of which both models have vectors.")
        return
    print_line(
        Text(f"{comparison.new_accuracy:.2%} named right", "bold"),
        f" by the new model, {comparison.old_accuracy:.2%} by the old, of {count(comparison.face_count, 'face')}.",
    )
    rates = f"{comparison.new_equal_error_rate:.2%} new, {comparison.old_equal_error_rate:.2%} old"
    print_line(f"  Equal error rate of pairs: {rates}")
    print_line(f"  {comparison.better_count:,} better, {comparison.worse_count:,} worse")
    if comparison.people:
        table = Table("Person", ">Faces", ">Better", ">Worse", "!ID")
        for one in comparison.people:
            better, worse = len(one.better_face_ids), len(one.worse_face_ids)
            style = "red" if worse > better else "green" if better > worse else ""
            numbers = (f"{one.face_count:,}", f"{better:,}", Text(f"{worse:,}", style))
            table.add_row(clean(one.display_name), *numbers, clean(one.person_id))
        table.print(2)


def _model(model: VectorModel) -> str:
    return clean(f"{model.name} {model.version}")


def _distance(distance: float | None) -> str:
    return "" if distance is None else f"{distance:.3f}"
