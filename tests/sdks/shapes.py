"""What each release of the SDKs does with what could be said into a stream: a table, by hand.

    .venv/bin/python -m tests.sdks.shapes

Here nothing stands between the SDKs and the stream.  The result is in ``docs/keepalive.rst``; that
what the gateway chose of it does not disturb them is shown by ``test_sdks.py``.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.config.model import Family
from gateway.dialects import for_request
from gateway.dialects.base import Standing, Trouble
from gateway.record import ErrorCode
from tests.process.scripted_upstream import Peer, ScriptedUpstream, read_request, reset
from tests.sdks.releases import PYTHONS, ask
from tests.sdks.streams import FLAT_ERROR, RESPONSE_FAILED, event
from tests.sdks.ways import Way, streams
from tests.world import LAST, SSE_HEAD, chunked

_NUMBERED: Final = event({"type": "keepalive", "sequence_number": 0}, "keepalive")
_PING: Final = event({"type": "ping"}, "ping")

#: What could be said into a silence.
SAID: Final[Mapping[str, bytes]] = {
    "a comment and a blank line": b": keepalive\n\n",
    "a comment": b": keepalive\n",
    "a blank line": b"\n",
    "an event ``keepalive`` with a number": _NUMBERED,
    "an event ``ping``": _PING,
    "an event without data": b"event: keepalive\n\n",
    "``retry: 3000`` and a blank line": b"retry: 3000\n\n",
}
# Announced, so that no client takes a connection that is about to be closed for its next ask.
_HEAD: Final = SSE_HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
_CUT: Final = Trouble(502, ErrorCode.RESET, "it was cut")
_PATHS: Final = {
    "openai_chat": b"/v1/chat/completions",
    "openai_completions": b"/v1/completions",
    "openai_responses": b"/v1/responses",
    "openai_images": b"/v1/images/generations",
    "openai_transcription": b"/v1/audio/transcriptions",
    "anthropic": b"/v1/messages",
    "gemini": b"/v1beta/models/m:streamGenerateContent",
}


def _own_error(way: Way, came: bytes) -> bytes:
    """What the gateway says at an end that is none, after these events."""
    dialect = for_request(Family(way.family), _PATHS[way.endpoint.dialect])
    meter = dialect.stream_meter()
    meter.feed(came)
    return dialect.error_event(_CUT, Standing(started=bool(came), reading=meter.reading()))


#: How a stream could end that is not whole: what is said, and whether its HTTP is whole.
ENDS: Final[Mapping[str, tuple[Callable[[Way, bytes], bytes], bool]]] = {
    "what the gateway says": (_own_error, True),
    "the flat ``error`` alone": (lambda *_: FLAT_ERROR, True),
    "``response.failed`` alone": (lambda *_: RESPONSE_FAILED, True),
    "nothing, a clean end": (lambda *_: b"", True),
    "nothing, a reset": (lambda *_: b"", False),
}
_OF_RESPONSES: Final = ("the flat ``error`` alone", "``response.failed`` alone")


@dataclass(frozen=True, slots=True)
class Probe:
    """A way of asking, and what it is answered."""

    way: Way
    what: str
    where: str
    body: bytes
    cut: bool = False
    whole: bool = True  #: all of the stream's events are in it


def probes(release: str) -> Iterator[Probe]:
    """All of them."""
    for way in streams(release):
        events, with_ids = way.endpoint.events, way.endpoint.with_ids()
        for what, said in SAID.items():
            yield Probe(way, what, "before the first event", said + b"".join(events))
            first, *rest = events
            yield Probe(way, what, "later", first + said + b"".join(rest))
            first, *rest = with_ids
            yield Probe(way, what, "after an ``id``", first + said + b"".join(rest))
        yield Probe(way, "nothing", "after an ``id``", b"".join(with_ids))
        for what, (said_at_end, whole) in ENDS.items():
            if what in _OF_RESPONSES and way.endpoint.dialect != "openai_responses":
                continue
            for where, count in (("before the first event", 0), ("later", way.endpoint.cut_after)):
                came = b"".join(events[:count])
                body = came + said_at_end(way, came)
                yield Probe(way, what, where, body, cut=not whole, whole=False)


def verdict(probe: Probe, heard: Mapping[str, Any], usual: int) -> str:
    """In words, what the SDK did; `usual` is how much it hands out of the whole stream."""
    if heard["raised"]:
        own = "" if heard["sdks_own"] else ", not its own"
        return f"raises ``{heard['raised'][0]}``{own}"
    text = "".join(heard["texts"])
    if not probe.whole:
        return "ends as if it were whole"
    if text != probe.way.endpoint.text or heard["tokens"] is None:
        return "loses events"
    return "handed out" if heard["events"] > usual else "read over"


def run(release: str) -> tuple[Mapping[str, str | None], dict[Probe, str]]:
    """The SDKs' versions, and what they did with each probe."""
    wanted = list(probes(release))
    upstream = ScriptedUpstream()

    def answer(peer: Peer) -> None:
        read_request(peer)
        probe = wanted[int(peer.request.split(b"/", 2)[1])]
        peer.send(_HEAD + chunked(probe.body) if probe.body else _HEAD)
        if probe.cut:
            reset(peer)
        else:
            peer.send(LAST)

    upstream.play(answer)
    told = ask(
        release,
        [
            {"way": probe.way.name, "url": f"{upstream.url}/{number}", "model": "m-1"}
            for number, probe in enumerate(wanted)
        ],
    )
    upstream.close()
    usual = {
        probe.way: heard["events"]
        for probe, heard in zip(wanted, told["heard"], strict=True)
        if (probe.what, probe.where) == ("a blank line", "later")
    }
    verdicts = {
        probe: verdict(probe, heard, usual[probe.way])
        for probe, heard in zip(wanted, told["heard"], strict=True)
    }
    return told["versions"], verdicts


def merged(verdicts: Mapping[str, str]) -> str:
    """One cell of what several ways or releases did: said once where they agree."""
    agreeing: dict[str, list[str]] = {}
    for who, what in verdicts.items():
        agreeing.setdefault(what, []).append(who)
    if len(agreeing) == 1:
        return next(iter(agreeing))
    return "; ".join(f"{', '.join(who)}: {what}" for what, who in agreeing.items())


def kind_of(way: Way) -> str:
    """Raw or helped, blocking or not."""
    _, _, kind = way.name.partition("_")
    return kind.replace("_", " ")


def main() -> None:
    """Print the tables."""
    os.environ["no_proxy"] = "127.0.0.1"
    for releases in (tuple(PYTHONS), ("node",)):
        print_tables({release: run(release) for release in releases}, list(probes(releases[0])))


def print_tables(
    found: Mapping[str, tuple[Mapping[str, str | None], dict[Probe, str]]], wanted: list[Probe]
) -> None:
    """One table a dialect of releases that are asked in the same ways."""
    print(datetime.date.today(), *(versions for versions, _ in found.values()), sep="\n")
    for dialect in dict.fromkeys(probe.way.endpoint.dialect for probe in wanted):
        print(f"\n{dialect}")
        own = [probe for probe in wanted if probe.way.endpoint.dialect == dialect]
        for what, where in dict.fromkeys((probe.what, probe.where) for probe in own):
            cell = merged(
                {
                    kind_of(probe.way): merged(
                        {
                            str(versions[probe.way.sdk]): verdicts[probe]
                            for versions, verdicts in found.values()
                        }
                    )
                    for probe in own
                    if (probe.what, probe.where) == (what, where)
                }
            )
            print(f"  {where:24}{what:40}{cell}")


if __name__ == "__main__":
    main()
