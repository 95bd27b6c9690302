<<<<<<< HEAD
"""What a gateway of several processes logs, as programs read it."""
=======
"""What a gateway with workers logs: as one process would, and who of them told it."""
>>>>>>> ed73c3f (Let workers log what one process would, and tell kinds of the supervisor's records)

from __future__ import annotations

import json
import os
import signal
<<<<<<< HEAD
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
=======
from pathlib import Path
from typing import Any

from tests.process.gateway_process import Ended
from tests.process.raw_client import PATHS, ask, prompt
from tests.process.workers_gateway import WorkersGateway


def records(ended: Ended) -> list[dict[str, Any]]:
    """Everything that was logged."""
    return [json.loads(line) for line in ended.output.splitlines()]


def test_the_record_of_a_workers_request_has_its_row_and_says_which_worker(tmp_path: Path) -> None:
    """O6: in JSON here; the journal gets the same fields."""
    options = "demo = on\nworkers = 1\nlog = json"
    gateway = WorkersGateway(tmp_path, options=options)
    with gateway:
        body = prompt(stream=False, model="demo-error-500")
        ask(gateway.port, f"/demo{PATHS['openai_chat']}", body)
        (row,) = gateway.new_rows()
        told = [each for each in records(gateway.stop()) if each.get("kind") == "request"]
    (one,) = told
    assert (one["id"], one["model_requested"]) == (row["id"], "demo-error-500")
    assert (one["worker"], one["generation"]) == ("g1w0", 1)


def test_records_of_the_supervisor_are_found_by_their_kinds(tmp_path: Path) -> None:
    """O6: what `docs/operations.rst` says to look for is there with workers, too."""
    options = "demo = on\nworkers = 1\nlog = json"
    gateway = WorkersGateway(tmp_path, options=options)
    with gateway:
        os.kill(gateway.worker("g1w0"), signal.SIGKILL)
        gateway.wait_for_log('"kind":"worker_started"', 2)
        gateway.reload(2)
        gateway.edit("demo = on", "demo = perhaps").hang_up()
        gateway.wait_for_log("generation 2 goes on")
        told = records(gateway.stop())
    kinds = {each.get("kind") for each in told}
    assert kinds >= {
        "start", "ready", "worker_started", "worker_died", "reload", "bad_configuration", "stop",
    }  # fmt: skip
    [died] = [each for each in told if each.get("kind") == "worker_died"]
    assert (died["worker"], died["generation"]) == ("g1w0", 1)
>>>>>>> ed73c3f (Let workers log what one process would, and tell kinds of the supervisor's records)
