"""SIGTERM to a gateway of several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.process.begun_stream import begin_stream, play_stream
from tests.process.gateway_process import eventually
from tests.process.raw_client import PATHS
from tests.process.scripted_upstream import (
    ScriptedUpstream,
    read_request,
    send,
    until_gone,
)
from tests.process.workers_gateway import START_PATIENCE, Manager, WorkersGateway
from tests.transcripts import CHAT_EVENTS
from tests.world import SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
Start = Callable[..., WorkersGateway]

#: As in one process: twistd ends as the signal does.
TERMINATED = -signal.SIGTERM


def test_streams_come_to_their_ends(
    start_workers: Start, upstream: ScriptedUpstream, manager: Manager
) -> None:
    """O4, O2: of older generations, too; nobody connects meanwhile, and systemd is told."""
    go_on = play_stream(upstream, START_PATIENCE)
    gateway = start_workers(**manager.environ)
    with begin_stream(gateway) as old:
        gateway.reload(2)
        with begin_stream(gateway) as new:
            gateway.terminate()
            eventually(lambda: not gateway.accepts(), "the gateway stops listening")
            manager.wait_for("STOPPING=1")
            manager.wait_for("EXTEND_TIMEOUT_USEC=")
            # How many workers have them is open: until the old ones hear that they are to drain,
            # they accept, too.
            eventually(
                lambda: any(
                    state.startswith("STATUS=stopping: ") and state.endswith(", 2 streams")
                    for state in manager.states
                ),
                "the status tells of both streams",
            )
            go_on.set()
            for client in (old, new):
                assert client.rest() == b"".join(CHAT_EVENTS[2:])
    ended = gateway.wait()
    assert ended.code == TERMINATED
    assert gateway.workers() == []
    assert [row["outcome"] for row in gateway.new_rows(2)] == ["finished"] * 2
    assert manager.states.count("STOPPING=1") == 1


def test_a_second_signal_ends_streams_with_an_error_event(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O4, A3: and each has its row."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), until_gone)
    gateway = start_workers()
    with begin_stream(gateway) as client:
        gateway.terminate()
        eventually(lambda: not gateway.accepts(), "the gateway stops listening")
        gateway.terminate()
        rest = client.rest()
    assert gateway.wait().code == TERMINATED
    assert rest.startswith(b'data: {"error":')
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"]) == ("drained", "operator")


def test_streams_that_outlast_the_drain_end_with_an_error_event(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O4, A3: in whichever worker they are."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), until_gone)
    gateway = start_workers("drain_timeout = 100ms")
    with begin_stream(gateway) as client:
        gateway.terminate()
        assert client.rest().startswith(b'data: {"error":')
    assert gateway.wait().code == TERMINATED
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"]) == ("drained", "operator")


def test_streams_of_a_generation_that_outlast_its_drain_end_with_an_error_event(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O3, A3: its ``drain_timeout`` holds for a reload as well."""
    upstream.play(read_request, send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])), until_gone)
    gateway = start_workers("drain_timeout = 100ms")
    with begin_stream(gateway) as client:
        gateway.reload(2)
        assert client.rest().startswith(b'data: {"error":')
    gateway.wait_for_names("g2w0", "g2w1")
    [row] = gateway.new_rows()
    assert (row["outcome"], row["error"]) == ("drained", "operator")


def test_sigint_stops_as_sigterm_does(start_workers: Start) -> None:
    """O4: a terminal sends it to the workers, too, which leave it to the supervisor."""
    gateway = start_workers()
    for _, pid in gateway.workers():
        os.kill(pid, signal.SIGINT)
    gateway.process.send_signal(signal.SIGINT)
    ended = gateway.wait()
    assert ended.code == -signal.SIGINT
    assert "was killed" not in ended.output
    assert gateway.workers() == []
