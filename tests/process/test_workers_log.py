"""What a gateway of several processes logs, as programs read it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream, read_request, send
from tests.process.workers_gateway import WorkersGateway

CHAT = PATHS["openai_chat"]


def test_records_of_supervisor_and_workers_are_found_by_their_kinds(
    start_workers: Callable[..., WorkersGateway], upstream: ScriptedUpstream
) -> None:
    """O6: the operators' table tells what each is, and the queries beside it name them."""
    gateway = start_workers("log = json")
    upstream.play(read_request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    with RawClient(gateway.port).post(CHAT, prompt(stream=False)) as client:
        assert client.rest() == b"{}"
    gateway.wait_for_log("finished 200 POST")
    os.kill(gateway.worker("g1w1"), signal.SIGKILL)
    gateway.wait_for_log("was killed by SIGKILL")
    gateway.wait_for_log("g1w1 (pid", 3)
    gateway.edit("workers = 2", "workers = no")
    gateway.hang_up()
    gateway.wait_for_log("generation 1 goes on")
    gateway.stop()

    records: list[dict[str, Any]] = []
    for line in gateway.output.splitlines():
        if line.startswith("{"):
            records.append(json.loads(line))
    kinds = {record["kind"] for record in records if "kind" in record}
    assert kinds >= {
        "start", "ready", "worker_started", "worker_died", "request", "reload",
        "bad_configuration", "stop",
    }  # fmt: skip
    [request] = [record for record in records if record.get("kind") == "request"]
    assert request["worker"] in ("g1w0", "g1w1")
    assert (request["generation"], request["outcome"]) == (1, "finished")
    [died] = [record for record in records if record.get("kind") == "worker_died"]
    assert (died["worker"], died["generation"]) == ("g1w1", 1)
