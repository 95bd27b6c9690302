"""The log of a real process: its reader may stall, the gateway does not."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.sink import PIPE_SIZE
from tests.process.gateway_process import GatewayProcess, eventually
from tests.process.raw_client import PATHS, ask, prompt


class Unread(GatewayProcess):
    """A gateway whose standard error is a pipe that is full from the beginning."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, options="demo = on")
        self.reading, self._writing = os.pipe()
        fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        os.write(self._writing, b"." * (PIPE_SIZE - 1) + b"\n")
        os.set_blocking(self.reading, False)
        self._read = b""

    def start(self) -> GatewayProcess:
        """See `GatewayProcess.start`."""
        run = "from twisted.scripts.twistd import run; run()"
        arguments = ("-n", "--pidfile=", "gateway", "--config", str(self.config))
        self._process = subprocess.Popen(
            (sys.executable, "-c", run, *arguments),
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._writing,
            stderr=self._writing,
        )
        os.close(self._writing)
        return self

    @property
    def output(self) -> str:
        """What has been read of the pipe, which nobody reads but `read`."""
        return self._read.decode(errors="replace")

    def read(self) -> str:
        """Read what is there; everything so far."""
        try:
            while part := os.read(self.reading, PIPE_SIZE):
                self._read += part
        except BlockingIOError:
            pass
        return self.output


def test_each_line_of_a_gateway_that_logs_json_is_an_object(tmp_path: Path) -> None:
    """O6: from its start to its end, Twisted's own lines too."""
    with GatewayProcess(tmp_path, options="demo = on\nlog = json") as gateway:
        request(gateway)
        (row,) = gateway.new_rows()
        lines = [json.loads(line) for line in gateway.stop().output.splitlines()]
    (told,) = [line for line in lines if line.get("kind") == "request"]
    assert told["id"] == row["id"]
    assert {"ready", "stop"} <= {line.get("kind") for line in lines}
    assert all({"time", "level", "message"} <= line.keys() for line in lines)


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Unread]:
    gateway = Unread(tmp_path)
    with gateway:
        yield gateway
    os.close(gateway.reading)


def request(gateway: GatewayProcess) -> None:
    """A request that the demo answers at once."""
    body = prompt(stream=False, model="demo-error-500")
    status, _ = ask(gateway.port, f"/demo{PATHS['openai_chat']}", body)
    assert status == 500


def test_a_log_that_nobody_reads_stops_nothing_and_tells_later_what_it_lost(
    unread: Unread,
) -> None:
    """O6: it starts, serves and keeps rows all the same."""
    for _ in range(20):
        request(unread)
    assert len(unread.new_rows(20)) == 20  # what is logged of them has been lost by then
    assert unread.read().strip(".\n") == ""  # nothing but what had filled it
    request(unread)
    told = eventually(
        lambda: re.search(r"(\d+) log records were lost: .*\n.*POST /demo", unread.read()),
        "the loss is told, and then the request",
    )
    assert int(told[1]) > 20
    assert len(unread.new_rows(21)) == 21
    assert unread.stop().code == -15
