"""A gateway of several processes: what they have, and what becomes of those that die or hang."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.process.gateway_process import Ended, eventually, free_port, twistd
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until
from tests.process.workers_gateway import (
    START_PATIENCE,
    Manager,
    WorkersGateway,
    connections,
    descriptors,
)
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
Start = Callable[..., WorkersGateway]


def begin_streams(
    gateway: WorkersGateway, upstream: ScriptedUpstream, go_on: threading.Event
) -> dict[str, list[RawClient]]:
    """Begin streams until each worker has one; they go on to their ends once `go_on` is set.

    Returns the clients by the names of the workers that serve them.
    """
    upstream.play(
        read_request,
        send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])),
        until(go_on, START_PATIENCE),
        send(chunked(*CHAT_EVENTS[2:]), LAST),
    )
    workers = gateway.workers()
    clients: dict[str, list[RawClient]] = {name: [] for name, _ in workers}
    while not all(clients.values()):
        assert sum(map(len, clients.values())) < 200, "one worker takes everything"
        before = {name: connections(pid, gateway.port) for name, pid in workers}
        client = RawClient(gateway.port).post(CHAT, prompt(stream=True))
        client.body_until(CHAT_EVENTS[1])
        [taker] = [name for name, pid in workers if connections(pid, gateway.port) > before[name]]
        clients[taker].append(client)
    return clients


def check_whole(clients: list[RawClient]) -> None:
    """Each of these gets the rest of its stream."""
    for client in clients:
        assert client.rest() == b"".join(CHAT_EVENTS[2:])


def test_a_killed_worker_is_replaced_and_the_streams_of_the_others_go_on(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O5: every request has one row; those of the dead worker say that it was killed."""
    gateway, go_on = start_workers(), threading.Event()
    clients = begin_streams(gateway, upstream, go_on)
    victim = gateway.worker("g1w0")
    os.kill(victim, signal.SIGKILL)
    gateway.wait_for_log(f"worker g1w0 (pid {victim}) was killed by SIGKILL")
    go_on.set()
    check_whole(clients["g1w1"])
    replacement = eventually(
        lambda: dict(gateway.workers()).get("g1w0"), "another worker in its place"
    )
    assert replacement != victim
    gateway.wait_for_log(f"worker g1w0 (pid {replacement}) serves")
    rows = gateway.new_rows(sum(map(len, clients.values())))
    outcomes = sorted(str(row["outcome"]) for row in rows)
    assert outcomes == ["finished"] * len(clients["g1w1"]) + ["killed"] * len(clients["g1w0"])


def test_a_worker_that_is_told_to_end_drains_alone_and_is_replaced(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O4, O5: its streams come to their ends while another one serves in its place."""
    gateway, go_on = start_workers(), threading.Event()
    clients = begin_streams(gateway, upstream, go_on)
    leaving = gateway.worker("g1w1")
    os.kill(leaving, signal.SIGTERM)
    gateway.wait_for_names("g1w0", "g1w1", "g1w1")
    gateway.wait_for_log("g1w1 (pid", 3)
    go_on.set()
    check_whole([*clients["g1w0"], *clients["g1w1"]])
    gateway.wait_for_names("g1w0", "g1w1")
    assert gateway.worker("g1w1") != leaving


@pytest.mark.parametrize("stuck", [signal.SIGUSR2, signal.SIGSTOP])
def test_a_worker_that_is_stuck_is_killed_and_replaced(
    start_workers: Start, manager: Manager, stuck: signal.Signals
) -> None:
    """O2: with its stack in the log, stopped or not; systemd hears from us meanwhile."""
    gateway = start_workers(**manager.environ, WATCHDOG_USEC="6000000")
    victim = gateway.worker("g1w0")
    os.kill(victim, stuck)
    gateway.wait_for_log(f"worker g1w0 (pid {victim}) is killed: its reactor has not run for 3 s")
    gateway.wait_for_log("did this when it was stuck")
    gateway.wait_for_log("in hang" if stuck == signal.SIGUSR2 else "in main")
    gateway.wait_for_log("worker g1w0 (pid", 4)
    replacement = gateway.worker("g1w0")
    assert replacement != victim
    gateway.wait_for_log(f"worker g1w0 (pid {replacement}) serves")
    manager.wait_for("WATCHDOG=1", len(manager.wait_for("WATCHDOG=1")) + 1)


def test_workers_whose_supervisor_is_killed_drain_and_make_room_for_another_one(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O5: what they hold comes to its end; the port is free at once."""
    gateway, go_on = start_workers(), threading.Event()
    clients = begin_streams(gateway, upstream, go_on)
    before = gateway.workers()
    gateway.process.kill()
    gateway.process.wait()
    gateway.start()
    gateway.wait_for_log("generation 1 serves", 2)
    assert set(before) <= set(gateway.workers())
    go_on.set()
    for each in clients.values():
        check_whole(each)
    eventually(lambda: not set(before) & set(gateway.workers()), "the old ones have ended")
    count = sum(map(len, clients.values()))
    assert [row["outcome"] for row in gateway.new_rows(count)] == ["finished"] * count


def test_workers_have_the_descriptors_that_they_are_given_and_no_others(
    start_workers: Start,
) -> None:
    """O7: not the supervisor's ledger, its connections to the others, or what it inherited."""
    gateway = start_workers()
    ours = descriptors(gateway.process.pid)
    shared = {target for target in ours.values() if target.startswith("socket:")}
    seen: list[set[str]] = []
    for name, pid in gateway.workers():
        theirs = descriptors(pid)
        assert theirs[0] == "/dev/null"
        assert theirs[1] == theirs[2] == str(gateway.folder / "log")
        # The listening socket, once inherited and once adopted.
        common = [target for target in theirs.values() if target in shared]
        assert len(common) == 2, (name, theirs)
        assert len(set(common)) == 1
        files = [target for target in theirs.values() if target.startswith("/")]
        locks = [target for target in files if target.endswith(".lock")]
        assert locks == [], "the instance's lock is the supervisor's"
        seen.append(
            {t for t in theirs.values() if t.startswith(("socket:", "pipe:"))} - set(common)
        )
    assert not seen[0] & seen[1]


def unable(folder: Path, upstream: ScriptedUpstream, listen: str = "", **keys: str) -> Ended:
    """What a start comes to."""
    folder.mkdir(exist_ok=True)
    keys = {"state_dir": str(folder / "state"), "workers": "2", **keys}
    lines = "\n".join(f"{name} = {value}" for name, value in keys.items())
    listen = listen or f"tcp:{free_port()}:interface=127.0.0.1"
    (folder / "gateway.ini").write_text(
        f"[gateway]\nlisten = {listen}\n{lines}\n{upstream.sections()}"
    )
    return twistd(folder, "--config", "gateway.ini")


def test_a_port_in_use_ends_the_supervisor(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """O7: before any worker is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
        ended = unable(tmp_path, upstream, listen)
    assert ended.code == 1
    assert f"cannot start: listen = {listen}: " in ended.output
    assert "is another gateway running?" in ended.output


def test_a_state_that_cannot_be_written_ends_the_supervisor(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O7: before any worker is started."""
    (tmp_path / "state" / "tenant.key").mkdir(parents=True)
    ended = unable(tmp_path, upstream)
    assert ended.code == 1
    assert f"cannot start: state_dir {tmp_path}/state cannot be used: " in ended.output


def test_workers_that_cannot_start_end_the_supervisor(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O7: it says which, and starts nobody again."""
    gateway = WorkersGateway(tmp_path, upstream.sections())
    (tmp_path / "broken").touch()
    gateway.start()
    ended = gateway.wait()
    assert ended.code == 1
    assert ended.output.count("cannot start: worker g1w") == 1
    assert "ended with status 3" in ended.output
    eventually(lambda: not gateway.workers(), "no worker is left")


def test_the_supervisor_as_a_daemon_logs_for_its_workers(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """O7: into the file that twistd was told, and the pid file names the supervisor."""
    gateway = WorkersGateway(tmp_path, upstream.sections())
    log, pidfile = tmp_path / "twistd.log", tmp_path / "twistd.pid"
    options = ("--logfile", str(log), "--pidfile", str(pidfile))
    gateway.run_daemon(*options)
    with ExitStack() as ends:
        ends.callback(gateway.kill)
        eventually(lambda: log.exists() and "generation 1 serves" in log.read_text(), "it serves")
        pid = int(pidfile.read_text())
        upstream.play(read_request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
        with RawClient(gateway.port).post(CHAT, prompt(stream=False)) as client:
            assert client.rest() == b"{}"
        line = eventually(
            lambda: [line for line in log.read_text().splitlines() if CHAT in line], "the line"
        )[0]
        assert line.split()[1] in ("g1w0", "g1w1")
        assert "finished 200" in line
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not pidfile.exists(), "it has ended")
        eventually(lambda: not gateway.workers(), "and its workers")
