"""An upstream that is silent until the gateway has spoken, however long a busy machine takes.

The gateway's admin listener tells how many keepalives each stream has had.  It names a stream's
upstream, and each situation has one of its own; so whoever waits does for all streams that are in
the same situation by then.  Hundreds wait at once: one of them asks for all.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import defaultdict
from typing import Final

from tests.process.gateway_process import PATIENCE, eventually, free_port
from tests.process.scripted_upstream import Peer, ScriptedUpstream

#: How many keepalives are waited for.
ENOUGH: Final = 2
#: Seconds between two looks, and between two questions to the gateway.
_PAUSE: Final = 0.1


class Beats:
    """What the admin listener on `port` tells."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._lock = threading.Lock()
        self._asked = float("-inf")  #: on the monotonic clock
        self._fewest: dict[str, int] = {}  #: keepalives of any stream, by upstream

    def wait(self, upstream: str) -> None:
        """Wait until `ENOUGH` have been said into each stream that runs from this upstream."""
        since = time.monotonic()
        what = f"{ENOUGH} keepalives into each stream of {upstream}"
        eventually(lambda: self._fewest_since(since, upstream) >= ENOUGH, what, pause=_PAUSE)

    def _fewest_since(self, since: float, upstream: str) -> int:
        """As the gateway told it after `since`: a stream that was there by then is counted."""
        with self._lock:
            if self._asked < max(since, time.monotonic() - _PAUSE):
                self._asked, self._fewest = time.monotonic(), self._ask()
            return self._fewest.get(upstream, 0)

    def _ask(self) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/api/v1/streams")
        told = json.loads(connection.getresponse().read())
        connection.close()
        found: dict[str, list[int]] = defaultdict(list)
        for stream in told["streams"]:
            found[stream["upstream"]].append(stream["keepalives"])
        return {upstream: min(counts) for upstream, counts in found.items()}


class SilentUpstream(ScriptedUpstream):
    """An upstream of a gateway whose admin listener is where `beats` asks."""

    def __init__(self) -> None:
        super().__init__()
        self.beats = Beats(free_port())


def name_of(peer: Peer) -> str:
    """The name of the upstream as which the gateway asks, with which the path begins."""
    return peer.request.split(b" ", 2)[1].split(b"/")[1].decode()


def until_spoken(peer: Peer) -> None:
    """Be silent until the gateway has spoken into this stream."""
    assert isinstance(peer.upstream, SilentUpstream)
    peer.upstream.beats.wait(name_of(peer))
