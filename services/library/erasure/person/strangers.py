"""Strangers: who was erased, and is still named by recognizers that cannot forget them, is nobody in new answers."""

from collections.abc import Iterable, Sequence

from marquee.v1 import recognizer_pb2 as pb
from services.library.database.change import Change
from services.library.erasure.person.traits import candidates_of, strip_result, strip_verdict
from services.library.erasure.tombstones import Tombstones
from services.library.people.opinions import external_id


async def hide(
    change: Change,
    tombstones: Tombstones,
    results: Sequence[pb.RecognizerResult],
    verdicts: Iterable[pb.Verdict] = (),
) -> None:
    """Take whom the collection has erased out of new results and verdicts. The caller holds its people."""
    verdicts = list(verdicts)
    called = {external_id(one) for one in candidates_of(results, verdicts)}
    erased = await tombstones.erased(change.connection, change.collection_id, called)
    if not erased:
        return
    for result in results:
        strip_result(result, lambda one: external_id(one) in erased)
    for verdict in verdicts:
        strip_verdict(verdict, lambda one: external_id(one) in erased)
