"""What it costs to ask a gateway about labelled pictures."""

import pytest

from marquee.channels.connection import Connection
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.evaluation.survey import Survey


@pytest.mark.parametrize(("labels_of", "price"), [("", 11), ("svm", 11), ("aws", 31), ("region", 51)])
def test_the_price_is_of_all_names_and_of_one_recognizers_labels(labels_of: str, price: int) -> None:
    """Everybody is asked for names, and for labels the one who is named, or all behind it if it is a gateway."""
    recognizers = [_priced("svm"), _priced("aws", celebrities=1, labels=20), _priced("region/aws", 10, 40)]
    assert Survey(Connection("127.0.0.1:1"), 1, labels_of).price(recognizers) == price


def _priced(name: str, celebrities: int = 0, labels: int = 0) -> pb.Recognizer:
    prices = ((pb.FEATURE_CELEBRITIES, celebrities), (pb.FEATURE_LABELS, labels))
    return pb.Recognizer(name=name, prices=[pb.Price(feature=one, micro_usd=micro_usd) for one, micro_usd in prices])
