"""A request to the page is a span of the visitor's trace, and its call of the gateway goes on with it."""

from pathlib import Path

import httpx
import pytest

from tests.support.processes import PATIENCE
from tests.support.servers import Scripted, picture, until
from tests.support.traces import collecting
from tests.support.web import answering, recognizing, started

pytestmark = pytest.mark.slow
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("path", "route", "names"),
    [
        ("/v1/recognize", "/v1/recognize", ["POST", "marquee.v1.RecognizerService/RecognizeImage"]),
        ("/v1/recognize/stream", "/v1/recognize/stream", ["POST", "marquee.v1.RecognizerService/StreamRecognizeImage"]),
    ],
)
async def test_request_is_part_of_its_senders_trace(tmp_path: Path, path: str, route: str, names: list[str]) -> None:
    """The span has the route and the status, is a child of the sender's, and parent of the call's; the log names it."""
    with collecting() as (collector, variables):
        async with recognizing(Scripted("svm")) as gateway:
            with started(gateway, tmp_path / "log", environment=variables) as running:
                await answering(running)
                async with httpx.AsyncClient(base_url=running.url, timeout=PATIENCE, trust_env=False) as client:
                    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
                    assert (await client.post(path, content=picture(), headers=headers)).is_success
                await until(lambda: len(collector.of(TRACE)) == 2)
                spans = {span.name: span for _, span in collector.of(TRACE)}
                assert [name for name in names if name in spans] == names
                request, call = (spans[name] for name in names)
                assert (request.parent_span_id.hex(), call.parent_span_id) == (PARENT, request.span_id)
                facts = {one.key: one.value for one in request.attributes}
                assert (facts["http.route"].string_value, facts["http.response.status_code"].int_value) == (route, 200)
                assert [line["trace_id"] for line in running.lines() if line["event"] == "request"] == [TRACE]
                assert [span.name for service, span in collector.spans if service == "marquee-web"] == names[::-1]
