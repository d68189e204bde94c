"""Recognize a picture through the gateway and check every recognizer; run by `helm test`.

usage: check.py TARGET PICTURE [CREDENTIALS NAME]. Exit 1 if any recognizer is not ready within 15 s, since for some
seconds DNS may not know of one that has just come up, or did not do its part. With the folder CREDENTIALS the calls go
over TLS, with those of `ca.crt`, `token`, `tls.crt` and `tls.key` that it has, to a server whose certificate has the
NAME.
"""

import sys
import time
from pathlib import Path

import grpc

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc

_WAIT_SECONDS = 15
_FINE = (pb.OUTCOME_OK, pb.OUTCOME_PARTIAL)


def main() -> int:
    """Print a line for each recognizer; return the exit code."""
    target, picture, *way = sys.argv[1:]
    try:
        with _secure(target, *way) if way else grpc.insecure_channel(target) as channel:
            stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
            listing = _listing(stub)
            request = pb.RecognizeImageRequest(image=pb.Image(content=Path(picture).read_bytes()), no_cache=True)
            response = stub.RecognizeImage(request, timeout=60)
    except grpc.RpcError as exc:
        print(target, exc.code().name, exc.details())
        return 1
    ready = [_is_ready(one) for one in listing.recognizers]
    fine = [_is_fine(result) for result in response.results]
    for verdict in response.verdicts:
        print("verdict", pb.VerdictState.Name(verdict.state), verdict.display_name)
    return 0 if ready and all(ready) and all(fine) and len(fine) == len(ready) else 1


def _listing(stub: recognizer_pb2_grpc.RecognizerServiceStub) -> pb.ListRecognizersResponse:
    """List the recognizers once all are ready, or as they are in the end."""
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        listing = stub.ListRecognizers(pb.ListRecognizersRequest(), timeout=30, wait_for_ready=True)
        if time.monotonic() > end or all(one.state == pb.RECOGNIZER_STATE_READY for one in listing.recognizers):
            return listing
        time.sleep(1)


def _secure(target: str, folder: str, name: str) -> grpc.Channel:
    ca, token, chain, key = (_content(Path(folder, file)) for file in ("ca.crt", "token", "tls.crt", "tls.key"))
    credentials = grpc.ssl_channel_credentials(ca, key, chain)
    if token is not None:
        caller = grpc.access_token_call_credentials(token.decode().strip())
        credentials = grpc.composite_channel_credentials(credentials, caller)
    return grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", name)])


def _content(path: Path) -> bytes | None:
    return (path.read_bytes() or None) if path.exists() else None


def _is_ready(one: pb.Recognizer) -> bool:
    print(one.name, pb.RecognizerState.Name(one.state), one.status.message)
    return one.state == pb.RECOGNIZER_STATE_READY


def _is_fine(result: pb.RecognizerResult) -> bool:
    print(result.recognizer, pb.Outcome.Name(result.outcome), result.status.message)
    return result.outcome in _FINE


if __name__ == "__main__":
    sys.exit(main())
