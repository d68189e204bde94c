"""Where the time of a call went, on the page."""

from google.protobuf.duration_pb2 import Duration

from marquee.v1 import recognizer_pb2 as pb
from services.web.pages.results import timings
from tests.support.servers import result


def ms(number: int) -> Duration:
    return Duration(nanos=number * 1_000_000)


def test_parts_are_to_the_scale_of_the_call() -> None:
    """Each part begins where it began in the call, and is as long: half of the network's time is the way there."""
    times = pb.RecognizerTimings(start=ms(10), network=ms(20), queue=ms(10), recognizer=ms(50))
    answer = pb.RecognizeImageResponse(
        results=[result("svm", timings=times), result("away")],
        timings=pb.CallTimings(total=ms(100), queue=ms(5), recognizers=ms(80), fusion=ms(4)),
    )
    picture, svm, verdicts = timings.parts(answer)
    assert [(span.kind, span.start, span.width) for span in svm.spans] == [
        ("network", 100, 100),
        ("waiting", 200, 100),
        ("recognizing", 300, 500),
        ("network", 800, 100),
    ]
    assert (svm.name, svm.time, svm.label) == ("svm", "80 ms", "network, waiting, recognizing")
    assert [(span.start, span.width) for span in (*picture.spans, *verdicts.spans)] == [(0, 50), (960, 40)]


def test_times_that_make_no_sense_stay_in_the_picture() -> None:
    """A recognizer that tells more time than the call had fills the bar, and goes no further."""
    times = pb.RecognizerTimings(start=ms(10), recognizer=ms(900))
    answer = pb.RecognizeImageResponse(
        results=[result("svm", timings=times)], timings=pb.CallTimings(total=ms(100), recognizers=ms(80))
    )
    spans = timings.parts(answer)[1].spans
    assert all(0 <= span.start <= span.start + span.width <= 1000 for span in spans)


def test_a_gateway_that_tells_no_times_has_no_parts() -> None:
    """An older gateway's answer, and a part of a stream, are shown without."""
    assert timings.parts(pb.RecognizeImageResponse(timings=pb.CallTimings(total=ms(100)))) == []
    assert timings.parts(pb.RecognizeImageResponse(results=[result("svm")])) == []
