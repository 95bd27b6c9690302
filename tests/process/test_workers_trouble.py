"""What a gateway of several processes comes through: stuck ones, a suspend, another ledger."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gateway.ledger import queries
from gateway.ledger.reading import reading
from tests.process.gateway_process import Row, eventually
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send, until
from tests.process.test_workers import begin_streams, check_whole
from tests.process.workers_gateway import START_PATIENCE, Manager, WorkersGateway
from tests.transcripts import CHAT_EVENTS
from tests.world import LAST, SSE_HEAD, chunked

CHAT = PATHS["openai_chat"]
Start = Callable[..., WorkersGateway]

#: The watchdog's interval, in microseconds: workers are stuck after half of it, 3 s.
WATCHDOG = "6000000"
SPINNING = """\
def request(head):
    if head.headers.get("X-Spin"):
        spin()

def spin():
    while True: pass
"""


def instance_pid(row: Row) -> int:
    """The process that had the request."""
    return int(str(row["instance"]).rpartition("-")[2])


def outcomes(ledger: Path) -> list[object]:
    """Those of all rows of a ledger."""
    with reading(ledger) as reader:
        return [row["outcome"] for row in queries.requests(reader, last=1000)]


def test_another_ledger_has_the_rows_of_the_new_generation_only(
    start_workers: Start, upstream: ScriptedUpstream
) -> None:
    """O3, A5: a stream's row stays where it was opened."""
    gateway, go_on = start_workers(), threading.Event()
    upstream.play(
        read_request,
        send(SSE_HEAD, chunked(*CHAT_EVENTS[:2])),
        until(go_on, START_PATIENCE),
        send(chunked(*CHAT_EVENTS[2:]), LAST),
    )
    old, new = gateway.state / "ledger.sqlite", gateway.folder / "other" / "rows.sqlite"
    new.parent.mkdir()
    with RawClient(gateway.port).post(CHAT, prompt(stream=True)) as client:
        client.body_until(CHAT_EVENTS[1])
        gateway.config.write_text(f"{gateway.config.read_text()}\n[ledger]\nurl = sqlite://{new}\n")
        gateway.reload(2)
        go_on.set()
        check_whole([client])
    gateway.wait_for_names("g2w0", "g2w1")
    with RawClient(gateway.port).post(CHAT, prompt(stream=True)) as client:
        client.rest()
    eventually(lambda: outcomes(new) == ["finished"], "the second row")
    assert outcomes(old) == ["finished"]


def test_a_worker_that_spins_is_killed_with_its_stack_and_the_others_streams_go_on(
    tmp_path: Path, start_workers: Start, upstream: ScriptedUpstream, manager: Manager
) -> None:
    """O2, O5: an operator's hook that never returns is named in the log."""
    hooks = tmp_path / "spinning.py"
    hooks.write_text(SPINNING)
    options = f"[hooks]\nmodule = {hooks}"
    gateway = start_workers(options, **manager.environ, WATCHDOG_USEC=WATCHDOG)
    go_on = threading.Event()
    clients = begin_streams(gateway, upstream, go_on)
    before = dict(gateway.workers())
    with RawClient(gateway.port).post(CHAT, prompt(stream=True), {"X-Spin": "1"}):
        gateway.wait_for_log("is killed: its reactor has not run for 3 s")
        gateway.wait_for_log("was killed: its reactor has not run for 3 s")
    [stuck] = set(before) - {name for name, pid in gateway.workers() if before[name] == pid}
    [other] = set(before) - {stuck}
    gateway.wait_for_log(f"worker {stuck} (pid {before[stuck]}) did this when it was stuck")
    assert f'File "{hooks}", line 6 in spin' in gateway.output
    assert f'File "{hooks}", line 3 in request' in gateway.output
    go_on.set()
    check_whole(clients[other])
    gateway.wait_for_names("g1w0", "g1w1")
    rows = gateway.new_rows(sum(map(len, clients.values())) + 1)
    killed = [row["outcome"] for row in rows if instance_pid(row) == before[stuck]]
    # The one that made it spin was noted before the hook was asked.
    assert killed == ["killed"] * (len(clients[stuck]) + 1)
    assert len(rows) == len(killed) + len(clients[other])


def test_nobody_is_killed_for_a_suspend(
    start_workers: Start, upstream: ScriptedUpstream, manager: Manager
) -> None:
    """O2, O5: all processes stand still for longer than one may be stuck; streams go on."""
    gateway = start_workers(**manager.environ, WATCHDOG_USEC=WATCHDOG)
    go_on = threading.Event()
    clients = begin_streams(gateway, upstream, go_on)
    workers = gateway.workers()
    pids = [gateway.process.pid, *(pid for _, pid in workers)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4)  # what nothing of this machine's clocks may be told
    # The supervisor first, which looks before any worker can have said a word.
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.2)
    manager.wait_for("WATCHDOG=1", len(manager.wait_for("WATCHDOG=1")) + 2)
    assert gateway.workers() == workers
    assert "is killed" not in gateway.output
    go_on.set()
    for each in clients.values():
        check_whole(each)
