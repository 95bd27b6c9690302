"""What an SDK meets behind the gateway: how the upstream behaves, and what the row says then.

All situations are there at once, each below a prefix of its own in one gateway, and play in one
upstream, which tells them apart by the path; so a client can ask for many at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.process.scripted_upstream import Peer, Step, read_request, reset, send, silence
from tests.sdks.streams import (
    CHAT,
    COMPLETIONS,
    GEMINI,
    IMAGES,
    MESSAGES,
    RESPONSES,
    TRANSCRIPTION,
    Endpoint,
)
from tests.world import LAST, SSE_HEAD, chunked

#: Seconds of silence, in each of which several keepalives are due.
SILENCE: Final = 0.2
TIMES: Final = "keepalive_after = 50ms\nkeepalive_interval = 50ms"

#: By the end of the path.
_ENDPOINTS: Final = {
    b"/chat/completions": CHAT,
    b"/completions": COMPLETIONS,
    b"/responses": RESPONSES,
    b"/images/generations": IMAGES,
    b"/audio/transcriptions": TRANSCRIPTION,
    b"/messages": MESSAGES,
    b":streamGenerateContent": GEMINI,
}
FAMILIES: Final = ("openai", "anthropic", "gemini")


def begun(endpoint: Endpoint) -> Step:
    """A stream up to where it breaks off."""
    return send(SSE_HEAD, chunked(*endpoint.events[: endpoint.cut_after]))


def hesitant(events: Sequence[bytes]) -> list[Step]:
    """A stream with a silence behind its head and behind each of its first two events."""
    return [
        send(SSE_HEAD),
        silence(SILENCE),
        send(chunked(events[0])),
        silence(SILENCE),
        send(chunked(events[1])),
        silence(SILENCE),
        send(chunked(*events[2:]), LAST),
    ]


def refused(endpoint: Endpoint) -> Step:
    """The provider's error as a response."""
    body = endpoint.error_body
    return send(
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


@dataclass(frozen=True, slots=True)
class Situation:
    """`keepalive` is the route's; `row` is the row's outcome and error."""

    keepalive: str
    steps: Callable[[Endpoint], Sequence[Step]]
    row: tuple[str, str | None] = ("finished", None)


#: The stream is whole.
WHOLE: Final = {
    "nothing else": Situation(
        "off", lambda endpoint: [send(SSE_HEAD, chunked(*endpoint.events), LAST)]
    ),
    "keepalives before the head": Situation(
        "immediate",
        lambda endpoint: [
            silence(SILENCE),
            send(SSE_HEAD, chunked(*endpoint.events), LAST),
        ],
    ),
    "keepalives between events": Situation("delayed", lambda endpoint: hesitant(endpoint.events)),
    "keepalives after an id": Situation("delayed", lambda endpoint: hesitant(endpoint.with_ids())),
}
#: The gateway has to say that it is not: to these the provider's words are added where it had any.
BROKEN: Final = {
    "reset": Situation(
        "off", lambda endpoint: [begun(endpoint), reset], ("upstream_failed", "reset")
    ),
    "reset before the head": Situation(
        "immediate",
        lambda _: [silence(SILENCE), reset],
        ("upstream_failed", "reset"),
    ),
    "ended early": Situation(
        "off",
        lambda endpoint: [begun(endpoint), send(LAST)],
        ("upstream_failed", "no_terminal_event"),
    ),
    "refused after the commit": Situation(
        "immediate",
        lambda endpoint: [silence(SILENCE), refused(endpoint)],
        ("upstream_failed", "http_error"),
    ),
}
#: The provider itself says so, inside a stream or at once.
REFUSED: Final = {
    "error in the stream": Situation(
        "off",
        lambda endpoint: [begun(endpoint), send(chunked(endpoint.error_events), LAST)],
        ("upstream_failed", "provider_error_event"),
    ),
    "refused at once": Situation("off", lambda endpoint: [refused(endpoint)]),
}
SITUATIONS: Final = {**WHOLE, **BROKEN, **REFUSED}


def prefix(family: str, situation: str) -> str:
    """The name of the upstream in this situation, and of the prefix below which it is."""
    return f"{family}-{situation.replace(' ', '-')}"


def sections(port: int) -> str:
    """A configuration that has all of them."""
    lines = ["[defaults]", TIMES]
    for family in FAMILIES:
        for name, situation in SITUATIONS.items():
            own = prefix(family, name)
            lines += [
                f"[upstream {own}]",
                f"url = http://127.0.0.1:{port}/{own}",
                f"dialect = {family}",
                "pool_size = 0",
                f"[route {own}]",
                f"path = /{own}/*",
                f"strip_prefix = /{own}",
                f"upstream = {own}",
                f"keepalive = {situation.keepalive}",
            ]
    return "\n".join(lines)


def play(peer: Peer) -> None:
    """Read a request and do what its path names."""
    read_request(peer)
    path = peer.request.split(b" ", 2)[1].partition(b"?")[0]
    name = path.split(b"/")[1].decode()
    endpoint = next(found for end, found in _ENDPOINTS.items() if path.endswith(end))
    situation = next(
        found
        for situation, found in SITUATIONS.items()
        if prefix(endpoint.family, situation) == name
    )
    for step in situation.steps(endpoint):
        step(peer)
