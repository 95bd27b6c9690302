"""What tests here run: a gateway's ledger with its shipper, and a proxy in front of the server."""

from __future__ import annotations

import contextlib
import selectors
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from twisted.internet.task import deferLater

from gateway.config.model import Durability, Postgres
from gateway.ledger import SqliteLedger
from gateway.ledger.postgres.shipper import Pace, Shipper
from gateway.record import Intent
from tests.ledger.helpers import a_record, an_intent
from tests.process.gateway_process import PATIENCE

#: No waiting where a test would wait for it; the rest is as it is.
QUICK = Pace(poll=0.01, first_pause=0.01, longest_pause=0.05)


class Gateway:
    """A ledger in a file, and what ships its rows to a database."""

    def __init__(self, path: Path, database: Postgres, reactor: Any, pace: Pace) -> None:
        self.path = path
        self.name = path.parent.name
        self.ledger = SqliteLedger(path, Durability.PROCESS, self.name, reactor, ship=True)
        self.shipper = Shipper(path, database, reactor, pace)
        self._reactor = reactor

    def start(self) -> None:
        """Start both."""
        self.ledger.start()
        self.shipper.start()

    def begin(self, number: int = 1) -> list[Intent]:
        """Open so many requests; returns their intents."""
        intents = [an_intent(instance=self.name) for _ in range(number)]
        for intent in intents:
            assert self.ledger.open(intent).called
        return intents

    def settle(self, *intents: Intent, **changes: Any) -> None:
        """Settle requests as finished."""
        for intent in intents:
            self.ledger.settle(a_record(intent, **changes))

    async def written(self) -> None:
        """Wait until the file has every row."""
        await until(self._reactor, lambda: not self.ledger.queued, "the file has every row")

    async def shipped(self, patience: float = PATIENCE) -> None:
        """Wait until the server has every row as it is now, for so many seconds at the most."""
        await self.written()
        await until(self._reactor, lambda: not self.entries(), "the server has every row", patience)

    async def connected(self) -> None:
        """Wait until it has the server, as far as it knows."""
        await self.until(lambda: self.shipper.connected, "it is connected")

    async def disconnected(self) -> None:
        """Wait until it knows that it has the server no more."""
        await self.until(lambda: not self.shipper.connected, "it is not connected")

    async def until(self, look: Callable[[], object], what: str) -> None:
        """Wait until `look` is true."""
        await until(self._reactor, look, what)

    def entries(self) -> int:
        """How many entries the outbox has."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            (count,) = db.execute("SELECT count(*) FROM outbox").fetchone()
            return int(count)

    async def stop(self) -> None:
        """Stop both, as the service does.  Harmless when done already."""
        await self.ledger.stop()
        await self.shipper.stop()


async def until(
    reactor: Any, look: Callable[[], object], what: str, patience: float = PATIENCE
) -> None:
    """Wait in the reactor's thread until `look` is true; if that never is, the test fails."""
    deadline = time.monotonic() + patience
    while not look():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        await deferLater(reactor, 0.01)


class Proxy:
    """Passes bytes between TCP clients and the server's Unix socket, in a thread of its own.

    While `lose_commits` is above 0, it waits for the server's answer to a COMMIT, keeps it, and
    cuts both connections: the client cannot know that its transaction is committed.  While
    `silent`, it passes on nothing.
    """

    def __init__(self, server: Path) -> None:
        """`server` is the Unix socket."""
        self.lose_commits = 0
        self.lost = 0  #: answers that were kept
        self.silent = False
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._thread.join(PATIENCE)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def in_front_of(self, database: Postgres) -> Postgres:
        """The same database, by way of this."""
        return Postgres("127.0.0.1", self.port, database.database, database.user)

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept()
                elif not self.silent and key.fd in self._selector.get_map():
                    self._pass_on(key.fileobj, key.data)
            if self.silent:
                time.sleep(0.01)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._server))
        except OSError:
            client.close()
            server.close()
            return
        self._selector.register(client, selectors.EVENT_READ, (server, True))
        self._selector.register(server, selectors.EVENT_READ, (client, False))

    def _pass_on(self, source: Any, link: tuple[socket.socket, bool]) -> None:
        target, from_client = link
        try:
            data = source.recv(65536)
            if data:
                target.sendall(data)
        except OSError:
            data = b""
        # As the frontend/backend protocol has it: a simple query's text ends with a NUL.
        if from_client and self.lose_commits and data.endswith(b"COMMIT\0"):
            answer = target.recv(65536)
            assert b"COMMIT" in answer, answer
            self.lose_commits -= 1
            self.lost += 1
            data = b""
        if not data:
            for sock in (source, target):
                with contextlib.suppress(KeyError):
                    self._selector.unregister(sock)
                sock.close()
