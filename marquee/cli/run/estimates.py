"""What pictures would cost, from the prices that a server lists. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from marquee.enums import Feature
from marquee.recognizers import Recognizer

DEFAULT_FEATURES = (Feature.CELEBRITIES, Feature.LABELS)


@dataclass(frozen=True, slots=True)
class Item:
    """What one feature of one recognizer costs, in millionths of a US dollar."""

    feature: Feature
    micro_usd_a_picture: int
    micro_usd: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one recognizer would cost."""

    recognizer: Recognizer
    items: tuple[Item, ...]

    @property
    def micro_usd(self) -> int:
        """All of it."""
        return sum(item.micro_usd for item in self.items)

    @property
    def left_micro_usd(self) -> int | None:
        """What may still be spent today; None: no cap."""
        spending = self.recognizer.spending
        if spending is None or spending.daily_cap_micro_usd is None:
            return None
        return max(0, spending.daily_cap_micro_usd - spending.today_micro_usd)

    @property
    def fits(self) -> bool:
        """Whether it may be spent today."""
        return self.left_micro_usd is None or self.micro_usd <= self.left_micro_usd


def estimates(
    recognizers: Sequence[Recognizer], pictures: int, features: Sequence[Feature | str], faces: int
) -> list[Estimate]:
    """One for each recognizer that costs something."""
    asked = tuple(dict.fromkeys(Feature(feature) for feature in features)) or DEFAULT_FEATURES
    made = [Estimate(one, tuple(_items(one, pictures, asked, faces))) for one in recognizers]
    return [estimate for estimate in made if estimate.items]


def _items(recognizer: Recognizer, pictures: int, asked: Sequence[Feature], faces: int) -> Iterator[Item]:
    listed = {price.feature: price.micro_usd for price in recognizer.prices}
    for feature in asked:
        if feature in listed:
            each = _face_search(listed, asked, faces) if feature is Feature.FACE_SEARCH else listed[feature]
            yield Item(feature, each, each * pictures)


def _face_search(listed: dict[Feature, int], asked: Sequence[Feature], faces: int) -> int:
    """The listed price is that of one face, and what it costs more than FACES is a face's search.

    Faces are found once where both features are asked for.
    """
    finding = listed.get(Feature.FACES, listed[Feature.FACE_SEARCH])
    searches = faces * (listed[Feature.FACE_SEARCH] - finding)
    return searches if Feature.FACES in asked else finding + searches
