"""An admin listener in memory: its site, door and answers, asked over the strict channel.

What is faked is the fleet alone, which tests fill as they like, and the thread that reads rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.task import Clock

from gateway.admin.fleet import State, Status, Worker
from gateway.admin.history import History
from gateway.admin.listener import AdminListener
from gateway.admin.site import AdminSite
from gateway.config import load
from gateway.config.model import Config
from gateway.front.channel import Channel
from tests.world import Response, Wire, read_responses

CONFIG = """\
[gateway]
state_dir = {folder}
{options}
[upstream local]
url = http://127.0.0.1:11434
dialect = ollama
[route all]
path = /*
upstream = local
"""


def a_config(folder: Path, options: str = "", **environ: str) -> Config:
    """A configuration whose ledger is in `folder`."""
    file = folder / "gateway.ini"
    file.write_text(CONFIG.format(folder=folder, options=options))
    return load(file, environ)


class FakeFleet:
    """A `gateway.admin.fleet.Fleet` that says what it is told to."""

    def __init__(self) -> None:
        self.state = State.SERVING
        self.reports: dict[str, list[dict[str, Any]]] = {"metrics": [], "streams": []}
        self.running: set[str] = set()
        self.killed: list[str] = []
        self.drained = 0
        self.broken: Exception | None = None

    def status(self) -> Status:
        worker = Worker("one", 42, 3, self.state, len(self.running), 1_700_000_000.0)
        return Status(self.state, 3, (worker,), "gateway.ini", "1.2.3")

    def report(self, kind: str) -> Deferred[list[dict[str, Any]]]:
        if self.broken is not None:
            return execute(self._raise, self.broken)
        return succeed(self.reports[kind])

    @staticmethod
    def _raise(error: Exception) -> list[dict[str, Any]]:
        raise error

    def kill(self, stream_id: str) -> Deferred[bool]:
        if stream_id in self.running:
            self.killed.append(stream_id)
        return succeed(stream_id in self.running)

    def drain(self) -> None:
        self.drained += 1


class Asked:
    """See the module's text."""

    def __init__(self, config: Config) -> None:
        self.clock = Clock()
        self.fleet = FakeFleet()
        listener = AdminListener(
            config,
            self.fleet,
            self.clock,
            lambda config: History(config, execute),
            lambda: 1_700_000_000,
        )
        self.site: AdminSite = listener.site

    def raw(self, data: bytes, method: str = "GET") -> Response:
        """What a connection is answered that sends `data`."""
        channel = Channel(self.site)
        wire = Wire(channel, self.clock)
        wire.makeConnection()
        wire.deliver(data)
        [answer] = read_responses(wire.read(), method, closed=wire.lost or wire.closing)
        if not wire.lost:
            wire.lose()
        return answer

    def ask(
        self, target: str, method: str = "GET", fields: Sequence[str] = (), host: str = "localhost"
    ) -> Response:
        """The answer to a request."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        if method == "POST":
            lines.append("Content-Length: 0")
        return self.raw("\r\n".join([*lines, "", ""]).encode(), method)

    def told(self, target: str, method: str = "GET") -> Any:
        """What an answer says that has to be 200."""
        answer = self.ask(target, method)
        assert answer.status == 200, answer
        return json.loads(answer.body)


def error_of(answer: Response) -> str:
    """The words of an error, in the shape that all errors have."""
    told = json.loads(answer.body)
    assert told["error"]["status"] == answer.status
    return str(told["error"]["message"])
