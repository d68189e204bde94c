"""A page in front of scripted recognizers that say of the demo's picture `both` what a test wants them to say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DomainError
from tests.support.enrollers import ScriptedEnroller
from tests.support.servers import Scripted, candidate, face, result
from tests.support.web import recognizing, web

EILEEN = (0.164, 0.155, 0.128, 0.28)
GRACE = (0.664, 0.163, 0.192, 0.435)
"""Where the faces are in `both`."""
_MODELS = {
    "rekognition": pb.Model(name="rekognition", version="2016-06-27"),
    "keras": pb.Model(name="celebrity", version="1"),
    "svm": pb.Model(name="embedding", version="1"),
}
CELEBRITIES, LABELS = pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS


@dataclass
class Stage:
    """The addresses, and the recognizers. At first two of them agree on the left face and disagree on the right one."""

    url: str = ""
    gateway: str = ""
    recognizers: "dict[str, Recognizer]" = field(default_factory=dict)
    enroller: ScriptedEnroller = field(default_factory=lambda: ScriptedEnroller("svm"))

    def reset(self) -> None:
        """Let every recognizer do again as at first."""
        for name, first in _results().items():
            vars(self.recognizers[name]).update(vars(_recognizer(name, first)))
        vars(self.enroller).update(vars(ScriptedEnroller("svm")))

    def say(self, name: str, *faces: pb.Face, **fields: object) -> None:
        """Let a recognizer answer so from now on."""
        self.recognizers[name].result = result(name, *faces, **fields)

    def fail(self, name: str, error: DomainError | Exception) -> None:
        """Let a recognizer fail from now on."""
        self.recognizers[name].error = error


@asynccontextmanager
async def stage(folder: Path, **settings: str) -> AsyncIterator[Stage]:
    """Serve all of it, the page with these settings and its log in the folder."""
    shown = Stage(recognizers={name: _recognizer(name, first) for name, first in _results().items()})
    async with (
        recognizing(*shown.recognizers.values(), enrollers={"svm": shown.enroller}) as shown.gateway,
        web(shown.gateway, folder / "log", **settings) as shown.url,
    ):
        yield shown


class Recognizer(Scripted):
    """A recognizer with a price, if its name is Rekognition's."""

    def describe(self) -> pb.Recognizer:
        described = super().describe()
        described.models[0].MergeFrom(_MODELS[self.name])
        described.evidence_group, described.can_enroll = self.name, self.name == "svm"
        if self.name == "rekognition":
            prices = [pb.Price(feature=feature, micro_usd=1000, region="us-east-1") for feature in self.features]
            described.prices.extend(prices)
            described.spending.CopyFrom(
                pb.Spending(today_micro_usd=412_000, month_micro_usd=9_876_000, daily_cap_micro_usd=5_000_000)
            )
        return described


def _recognizer(name: str, first: pb.RecognizerResult) -> Recognizer:
    return Recognizer(name, result=first, features=(LABELS,) if name == "keras" else (CELEBRITIES, LABELS))


def _results() -> dict[str, pb.RecognizerResult]:
    instances = [pb.LabelInstance(box=face(place).box, score=0.97) for place in (EILEEN, GRACE)]
    labels = [pb.Label(name="Person", score=0.98, instances=instances), pb.Label(name="Flag", score=0.83)]
    left = face(EILEEN, "Eileen Collins", 0.97)
    right = face(GRACE, "Grace Hopper", 0.93)
    right.candidates.append(candidate("Ada Lovelace", 0.41))
    return {
        "rekognition": result(
            "rekognition",
            left,
            right,
            labels=labels,
            performed_features=[LABELS],
            cost_micro_usd=2000,
            warnings=["The picture was shrunk to fit 5 MB."],
        ),
        "keras": pb.RecognizerResult(
            outcome=pb.OUTCOME_OK,
            labels=[pb.Label(name="Celebrity", score=0.91)],
            performed_features=[LABELS],
        ),
        "svm": result("svm", face(EILEEN, "Eileen Collins", 0.91), face(GRACE, "Ada Lovelace", 0.74)),
    }
