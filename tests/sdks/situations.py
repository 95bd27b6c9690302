"""What an SDK meets behind the gateway: how the upstream behaves, and what the row says then.

All situations are there at once, each below a prefix of its own in one gateway, and play in one
upstream, which tells them apart by the path; so a client can ask for many at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.process.scripted_upstream import (
    Peer,
    Step,
    read_request,
    reset,
    send,
    silence,
    until_gone,
)
from tests.sdks.beats import name_of, until_spoken
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
from tests.sdks.ways import Way
from tests.world import LAST, SSE_HEAD, chunked

#: Seconds of a silence in which several keepalives are due; a busy machine may come to none.
SILENCE: Final = 0.2
TIMES: Final = "keepalive_after = 50ms\nkeepalive_interval = 50ms"
#: Where the upstream is silent for ever: the keepalives into that do not prolong it.
IDLE: Final = "idle_timeout = 250ms"

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
    """A stream up to where it breaks off; in one piece, so that nothing can end it before."""
    return send(SSE_HEAD + chunked(*endpoint.events[: endpoint.cut_after]))


def begun_inside(endpoint: Endpoint) -> Step:
    """The same, and half an event more."""
    *whole, cut = endpoint.events[: endpoint.cut_after + 1]
    return send(SSE_HEAD, chunked(*whole), chunked(cut[: len(cut) // 2]))


def hesitant(events: Sequence[bytes]) -> list[Step]:
    """A stream with a silence behind its head and behind each of its first two events."""
    return [
        send(SSE_HEAD),
        silence(SILENCE),
        send(chunked(events[0])),
        silence(SILENCE),
        send(chunked(events[1])),
        until_spoken,
        send(chunked(*events[2:]), LAST),
    ]


def late_end(events: Sequence[bytes]) -> list[Step]:
    """A stream with a silence before its terminal event."""
    return [
        send(SSE_HEAD, chunked(*events[:-1])),
        until_spoken,
        send(chunked(events[-1]), LAST),
    ]


def answered(status: bytes, media_type: bytes, body: bytes) -> Step:
    """A response that is no stream."""
    return send(
        b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (status, media_type, len(body), body)
    )


def refused(endpoint: Endpoint) -> Step:
    """The provider's error as a response."""
    return answered(b"429 Too Many Requests", b"application/json", endpoint.error_body)


#: An error in no provider's shape.
failed: Final = answered(b"500 Internal Server Error", b"text/html", b"<h1>Sorry</h1>")
#: What is no answer at all.
other: Final = answered(b"200 OK", b"text/html", b"<h1>Log in</h1>")


@dataclass(frozen=True, slots=True)
class Situation:
    """`keepalive` is the route's; `row` is the row's outcome and error.

    `begun`: the client gets the stream up to where it breaks off.  `status`: the one that the error
    tells, in the dialects that tell one.
    """

    keepalive: str
    steps: Callable[[Endpoint], Sequence[Step]]
    row: tuple[str, str | None] = ("finished", None)
    begun: bool = False
    status: int = 502
    keys: str = ""  #: others of the route's


#: The stream is whole.
WHOLE: Final = {
    "nothing else": Situation(
        "off", lambda endpoint: [send(SSE_HEAD, chunked(*endpoint.events), LAST)]
    ),
    "keepalives before the head": Situation(
        "immediate",
        lambda endpoint: [
            until_spoken,
            send(SSE_HEAD, chunked(*endpoint.events), LAST),
        ],
    ),
    "keepalives before a late head": Situation(
        "delayed",
        lambda endpoint: [
            until_spoken,
            send(SSE_HEAD, chunked(*endpoint.events), LAST),
        ],
    ),
    "keepalives between events": Situation("delayed", lambda endpoint: hesitant(endpoint.events)),
    "keepalives after an id": Situation("delayed", lambda endpoint: hesitant(endpoint.with_ids())),
    "keepalives before the end": Situation("delayed", lambda endpoint: late_end(endpoint.events)),
}
#: The gateway has to say that it is not: to these the provider's words are added where it had any.
BROKEN: Final = {
    "reset": Situation(
        "off",
        lambda endpoint: [begun(endpoint), reset],
        ("upstream_failed", "reset"),
        begun=True,
    ),
    "reset inside an event": Situation(
        "off",
        lambda endpoint: [begun_inside(endpoint), reset],
        ("upstream_failed", "reset"),
        begun=True,
    ),
    "reset before the head": Situation(
        "immediate",
        lambda _: [until_spoken, reset],
        ("upstream_failed", "reset"),
    ),
    "ended early": Situation(
        "off",
        lambda endpoint: [begun(endpoint), send(LAST)],
        ("upstream_failed", "no_terminal_event"),
        begun=True,
    ),
    "ended early inside an event": Situation(
        "off",
        lambda endpoint: [begun_inside(endpoint), send(LAST)],
        ("upstream_failed", "no_terminal_event"),
        begun=True,
    ),
    "silent for too long": Situation(
        "delayed",
        lambda endpoint: [begun(endpoint), until_gone],
        ("timed_out", "idle_timeout"),
        begun=True,
        status=504,
        keys=IDLE,
    ),
    "refused after the commit": Situation(
        "immediate",
        lambda endpoint: [until_spoken, refused(endpoint)],
        ("upstream_failed", "http_error"),
        status=429,
    ),
    "failed after the commit": Situation(
        "immediate",
        lambda _: [until_spoken, failed],
        ("upstream_failed", "http_error"),
        status=500,
    ),
    "no stream after the commit": Situation(
        "immediate",
        lambda _: [until_spoken, other],
        ("upstream_failed", "not_sse"),
    ),
}
#: The provider itself says so, inside a stream or at once.
REFUSED: Final = {
    "error in the stream": Situation(
        "off",
        lambda endpoint: [begun(endpoint), send(chunked(endpoint.error_events), LAST)],
        ("upstream_failed", "provider_error_event"),
        begun=True,
        status=429,
    ),
    "refused at once": Situation("off", lambda endpoint: [refused(endpoint)], status=429),
    "failed at once": Situation("off", lambda _: [failed], status=500),
}
#: The client goes as soon as it has been handed something.
LEFT: Final = Situation(
    "delayed", lambda endpoint: [begun(endpoint), until_gone], ("client_gone", None)
)
#: The gateway is stopped: it takes one of its own.
STOPPED: Final = Situation(
    "off",
    lambda endpoint: [begun(endpoint), until_gone],
    ("drained", "operator"),
    begun=True,
    status=503,
)
SITUATIONS: Final = {**WHOLE, **BROKEN, **REFUSED, "left": LEFT, "stopped": STOPPED}


def met(way: Way) -> tuple[str, ...]:
    """The situations in which a way asks beside all the others.

    Only clients in Node leave, and know what to do with an ``id`` if it is from Google.
    """
    left_out = {"stopped"}
    if not way.in_node:
        left_out.add("left")
    if not way.in_node and not way.reads_ids:
        left_out.add("keepalives after an id")
    return tuple(name for name in SITUATIONS if name not in left_out)


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
                situation.keys,
            ]
    return "\n".join(lines)


def play(peer: Peer) -> None:
    """Read a request and do what its path names."""
    read_request(peer)
    path = peer.request.split(b" ", 2)[1].partition(b"?")[0]
    name = name_of(peer)
    endpoint = next(found for end, found in _ENDPOINTS.items() if path.endswith(end))
    situation = next(
        found
        for situation, found in SITUATIONS.items()
        if prefix(endpoint.family, situation) == name
    )
    for step in situation.steps(endpoint):
        step(peer)
