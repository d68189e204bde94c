"""The veto: a label of one recognizer that ends a cascade before a call that costs money. Pure."""

from collections.abc import Iterable, Sequence

from google.rpc import code_pb2, status_pb2

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import Veto
from services.gateway.fusion.verdict import VALID
from services.gateway.policy.course import Member
from services.gateway.policy.sure import ROUNDING
from services.runtime.requests import Feature, Policy


def is_asked(veto: Veto, policy: Policy, features: Iterable[Feature], members: Sequence[Member]) -> bool:
    """Return whether the veto's recognizer has to be asked for LABELS, since that may save a call that costs money."""
    if policy != pb.POLICY_CASCADE or set(features) != {pb.FEATURE_CELEBRITIES}:
        return False
    names = [member.name for member in members]
    after = members[names.index(veto.recognizer) + 1 :] if veto.recognizer in names else ()
    return any(member.is_paid and not member.is_required for member in after)


def reason_of(veto: Veto, results: Iterable[pb.RecognizerResult]) -> str:
    """Return the veto's reason if one of its recognizer's results has its label; else the empty string."""
    labels = (
        label
        for result in results
        if result.outcome in VALID and result.recognizer.partition("/")[0] == veto.recognizer
        for label in result.labels
    )
    name, score = veto.label.casefold(), veto.score - ROUNDING
    holds = any(label.score >= score and label.name.casefold() == name for label in labels)
    return f"{veto.recognizer} says {veto.label}" if holds else ""


def leave_out_labels(result: pb.RecognizerResult) -> None:
    """Leave LABELS, which the veto alone has asked for, out of a result; it is SKIPPED if nothing else was done."""
    if result.outcome not in VALID:
        return
    result.ClearField("labels")
    performed = [feature for feature in result.performed_features if feature != pb.FEATURE_LABELS]
    result.performed_features[:] = performed
    errors = [error for error in result.feature_errors if error.feature != pb.FEATURE_LABELS]
    result.ClearField("feature_errors")
    result.feature_errors.extend(errors)
    result.outcome = pb.OUTCOME_PARTIAL if errors else pb.OUTCOME_OK
    if not performed and not errors:
        result.outcome = pb.OUTCOME_SKIPPED
        result.status.CopyFrom(status_pb2.Status(code=code_pb2.OK, message="supports none of the requested features"))
