"""ClientRequestToken: a request that is sent again is answered again and not done again."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from local.rekognition.wire.errors import reused_token

REMEMBERED = 10_000
"""Tokens that are kept, for as long as the process lives."""
Answer = dict[str, Any]


class RequestTokens:
    """What was answered to which token. Safe to share between threads; one request is done at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: OrderedDict[str, tuple[str, Answer]] = OrderedDict()

    def once(self, operation: str, request: Mapping[str, Any], do: Callable[[], Answer]) -> Answer:
        """What `do` returns, done once a token. Raises IdempotentParameterMismatchException."""
        token = request.get("ClientRequestToken")
        if token is None:
            return do()
        asked = json.dumps([operation, request], sort_keys=True)
        with self._lock:
            if token not in self._answers:
                self._answers[token] = asked, do()
                if len(self._answers) > REMEMBERED:
                    self._answers.popitem(last=False)
            before, answer = self._answers[token]
        if before != asked:
            raise reused_token()
        return answer
