"""What a gateway with workers logs: as one process would, and who of them told it."""

from __future__ import annotations

import json
import os
import signal
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


def test_a_file_that_is_no_configuration_does_not_fill_the_log(tmp_path: Path) -> None:
    """O1: the first hundred problems are told, and how many more there are."""
    gateway = WorkersGateway(tmp_path, options="demo = on\nworkers = 1\nlog = json")
    with gateway:
        gateway.config.write_text("[gateway]\ndemo = on\nworkers = 1\n" + "x\n" * 130)
        gateway.hang_up()
        gateway.wait_for_log("generation 1 goes on")
        told = [
            each["message"]
            for each in records(gateway.stop())
            if each.get("kind") == "bad_configuration"
        ]
    assert len(told) == 101
    assert told[-1].startswith("30 more problems")
