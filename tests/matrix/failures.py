"""What can become of a request: how each of it is played, from its beginning.

``expected.py`` says what is to come of it, under the same names.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

from tests.matrix.dialects import WAYS
from tests.matrix.stage import Deadline, Stage

HTML: Final = b"<!doctype html><title>502</title>"
RETRY_AFTER: Final = b"120"


def _finished(stage: Stage) -> None:
    stage.begin()
    stage.send(*stage.way.pieces[1:])
    _close(stage)


def _close(stage: Stage) -> None:
    if stage.way.close:
        stage.send_part(stage.way.close)
    stage.end()


def _http_error(stage: Stage) -> None:
    stage.answer(
        b"429 Too Many Requests",
        stage.way.errors.answer,
        b"Content-Type: application/json",
        b"Retry-After: " + RETRY_AFTER,
    )


def _refused(stage: Stage) -> None:
    stage.ask()
    stage.refuse()


def _connect_timeout(stage: Stage) -> None:
    stage.ask()
    stage.wait(Deadline.CONNECT)


def _head_timeout(stage: Stage) -> None:
    stage.connect()
    stage.wait(Deadline.HEAD)


def _reset_before_head(stage: Stage) -> None:
    stage.connect()
    stage.reset()


def _malformed_head(stage: Stage) -> None:
    stage.connect()
    stage.deliver(b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n")


def _first_event_timeout(stage: Stage) -> None:
    stage.connect()
    stage.head()
    stage.wait(Deadline.FIRST_EVENT)


def _reset(stage: Stage) -> None:
    stage.begin()
    stage.reset()


def _truncated(stage: Stage) -> None:
    stage.begin()
    stage.lose()


def _malformed_chunk(stage: Stage) -> None:
    stage.begin()
    stage.deliver(b"nonsense\r\n")


def _reset_in_long_event(stage: Stage) -> None:
    stage.begin()
    stage.send_long()
    stage.reset()


def _early_end(stage: Stage) -> None:
    stage.begin()
    stage.end()


def _empty_stream(stage: Stage) -> None:
    stage.connect()
    stage.head()
    stage.end()


def _silence_in_event(stage: Stage) -> None:
    stage.begin()
    stage.send_part(stage.way.unfinished)
    stage.wait(Deadline.IDLE)


def _silence_in_long_event(stage: Stage) -> None:
    stage.begin()
    stage.send_long()
    stage.wait(Deadline.IDLE)


def _total_timeout(stage: Stage) -> None:
    stage.begin()
    stage.drip()


def _json(stage: Stage) -> None:
    body = b"".join(WAYS[stage.way.whole].pieces) if stage.way.whole else b'{"is": "JSON"}'
    stage.answer(b"200 OK", body, b"Content-Type: application/json")


def _html(stage: Stage) -> None:
    stage.answer(b"200 OK", HTML, b"Content-Type: text/html")


def _empty(stage: Stage) -> None:
    stage.answer(b"200 OK", b"")


def _error_event(stage: Stage) -> None:
    assert stage.way.error_piece is not None
    stage.begin()
    stage.send(stage.way.error_piece)
    _close(stage)


def _coded(stage: Stage) -> None:
    stage.connect()
    stage.head(b"Content-Encoding: gzip")
    stage.send_part(gzip.compress(b"".join(stage.way.pieces) + stage.way.close))
    stage.end()


def _reset_after_last_event(stage: Stage) -> None:
    stage.begin()
    stage.send(*stage.way.pieces[1:])
    stage.reset()


def _client_stalls(stage: Stage) -> None:
    stage.begin()
    stage.stall()
    stage.wait(Deadline.CLIENT_WRITE)


def _stopped_before_head(stage: Stage) -> None:
    stage.connect()
    stage.drain()


def _stopped_in_mid_stream(stage: Stage) -> None:
    stage.begin()
    stage.drain()


def _gone_at_request(stage: Stage) -> None:
    stage.leave()


def _gone_at_connect(stage: Stage) -> None:
    stage.ask()
    stage.leave()


def _gone_at_head(stage: Stage) -> None:
    stage.connect()
    stage.leave()


def _gone_at_first_event(stage: Stage) -> None:
    stage.connect()
    stage.head()
    stage.leave()


def _gone_at_relay(stage: Stage) -> None:
    stage.begin()
    stage.leave()


def _gone_after_last_event(stage: Stage) -> None:
    stage.begin()
    stage.send(*stage.way.pieces[1:])
    stage.leave()


FAILURES: Final[dict[str, Callable[[Stage], None]]] = {
    "finished": _finished,
    "HTTP error": _http_error,
    "refused": _refused,
    "connect timeout": _connect_timeout,
    "head timeout": _head_timeout,
    "reset before the head": _reset_before_head,
    "malformed head": _malformed_head,
    "first-event timeout": _first_event_timeout,
    "reset in mid-stream": _reset,
    "FIN in mid-stream": _truncated,
    "malformed chunk": _malformed_chunk,
    "reset inside a long event": _reset_in_long_event,
    "clean early end": _early_end,
    "clean end before any event": _empty_stream,
    "silence in mid-event": _silence_in_event,
    "silence inside a long event": _silence_in_long_event,
    "total timeout": _total_timeout,
    "JSON instead": _json,
    "HTML instead": _html,
    "empty answer": _empty,
    "error event in a 200": _error_event,
    "coded stream": _coded,
    "reset after the last event": _reset_after_last_event,
    "client does not read": _client_stalls,
    "stopped before the head": _stopped_before_head,
    "stopped in mid-stream": _stopped_in_mid_stream,
    "client gone at request": _gone_at_request,
    "client gone at connect": _gone_at_connect,
    "client gone at head": _gone_at_head,
    "client gone at first_event": _gone_at_first_event,
    "client gone at relay": _gone_at_relay,
    "client gone after the last event": _gone_after_last_event,
}
