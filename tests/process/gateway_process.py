"""A gateway as an operator runs it: ``twistd -n gateway --config FILE`` in a process of its own.

Everything that it writes stays in the test's folder: its state, its log (standard output and error
together) and its temporary files.  It needs no installation: the plugin is found in
``twisted/plugins`` of this source tree.  As a context manager it waits until the gateway answers,
and ends the process by its id in any case.

Rows are read as ``gatewayctl`` reads them, from the ledger's file while the gateway writes it.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

from gateway.ledger import LedgerError, queries
from gateway.ledger.reading import reading
from gateway.record import Value, timestamp
from tests.canaries import assert_clean

ROOT = Path(__file__).resolve().parents[2]

#: Seconds that anything may take here before the test fails: a bound, never a measure.  On a
#: machine with much other work a gateway has taken 11 s to start.
PATIENCE = 45.0

_TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
_CTL = (sys.executable, "-c", "import sys; from gateway.ctl import main; sys.exit(main())")

#: What this process may have been told and the gateway must not hear.
_NOT_PASSED_ON = ("NOTIFY_SOCKET", "STATE_DIRECTORY", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY")

T = TypeVar("T")
Row = Mapping[str, Value]


class Ended(NamedTuple):
    """How a process ended: negative codes are signals.  Both its outputs are in one."""

    code: int
    output: str


def eventually(
    look: Callable[[], T | None], what: str, patience: float = PATIENCE, pause: float = 0.01
) -> T:
    """What `look` returns as soon as that is true; if it never is, the test fails.

    `pause` is how many seconds are between two looks.
    """
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        time.sleep(pause)


def free_port() -> int:
    """A port of loopback that nobody listens on, from below those that connections are given."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that must leave nothing outside of `folder`."""
    environ = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    (folder / "tmp").mkdir(exist_ok=True)
    path = os.pathsep.join(filter(None, (str(ROOT), environ.get("PYTHONPATH"))))
    return {**environ, "PYTHONPATH": path, "TMPDIR": str(folder / "tmp"), **(extra or {})}


def twistd(folder: Path, *arguments: str, **environ: str) -> Ended:
    """Run ``twistd -n gateway …`` to its end."""
    return _run(folder, (*_TWISTD, "-n", "--pidfile=", "gateway", *arguments), environ)


def gatewayctl(folder: Path, *arguments: str, **environ: str) -> Ended:
    """Run ``gatewayctl …`` to its end."""
    return _run(folder, (*_CTL, *arguments), environ)


def _run(folder: Path, command: tuple[str, ...], environ: Mapping[str, str]) -> Ended:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ended(done.returncode, done.stdout)


class GatewayProcess:
    """See the module's text.

    `sections` is the configuration but for ``[gateway]``, whose further keys are `options`; without
    an ``admin`` among them there is no admin listener: gateways must not compete for its port.
    `environ` is what the process finds in its environment besides.
    """

    def __init__(
        self,
        folder: Path,
        sections: str = "",
        options: str = "",
        environ: Mapping[str, str] | None = None,
        files: int | None = None,
    ) -> None:
        """`files` is how many descriptors it may have open; None: as many as this process."""
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "gateway.ini"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        listen = f"listen = tcp:{self.port}:interface=127.0.0.1"
        if not options.startswith("admin ") and "\nadmin " not in options:
            options = f"admin = off\n{options}"
        self.config.write_text(
            f"[gateway]\n{listen}\nallowed_hosts = gw.test localhost 127.0.0.1\n"
            f"state_dir = {self.state}\n{options}\n{sections}\n"
        )
        self._environ = environment(folder, environ)
        self._files = files
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._since = ""

    # Its life.

    def start(self) -> GatewayProcess:
        """Start the process, also anew after an end, without waiting for anything."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        config = str(self.config)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (*self._limits, *_TWISTD, "-n", "--pidfile=", "gateway", "--config", config),
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def _limits(self) -> tuple[str, ...]:
        """What goes in front of the command: a shell sets limits and is replaced by it."""
        if self._files is None:
            return ()
        return ("sh", "-c", f'ulimit -n {self._files} && exec "$@"', "sh")

    def wait_until_it_answers(self) -> GatewayProcess:
        """Wait for an answer over HTTP, not only for the port: only then does the reactor run."""

        def look() -> bool:
            assert self.process.poll() is None, f"the gateway did not start:\n{self.output}"
            return self._answers()

        eventually(look, "the gateway answers")
        return self

    def __enter__(self) -> GatewayProcess:
        try:
            return self.start().wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def terminate(self) -> None:
        """Send SIGTERM, and wait for nothing."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> Ended:
        """Wait for the end."""
        code = self.process.wait(PATIENCE)
        return Ended(code, self.output)

    def stop(self) -> Ended:
        """Send SIGTERM and wait for the end."""
        self.terminate()
        return self.wait()

    def kill(self) -> None:
        """End the process with SIGKILL, if it has not ended; no file it leaves holds a key."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        for path in self.folder.rglob("*"):
            if path.is_file():
                assert_clean(path.read_bytes(), str(path.relative_to(self.folder)))

    # What can be seen of it.

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, which has been started."""
        assert self._process is not None, "start it first"
        return self._process

    @property
    def output(self) -> str:
        """Everything that it has written to standard output and error, over all starts."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def accepts(self) -> bool:
        """Whether a new connection is taken."""
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def _answers(self) -> bool:
        with socket.socket() as sock:
            sock.settimeout(PATIENCE)
            if sock.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return sock.recv(5) == b"HTTP/"

    def rss(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def cpu(self) -> float:
        """Seconds of CPU that it has taken."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def waits(self) -> bool:
        """Whether it has nothing to do: one that has no processor to do it on does not wait."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] == "S"

    def open_files(self) -> list[str]:
        """The files that it holds open, deleted ones too, but no sockets, pipes or devices."""
        found = []
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except FileNotFoundError:
                continue
            if target.startswith("/") and not target.startswith("/dev/"):
                found.append(target)
        return sorted(found)

    def rows(self) -> list[Row]:
        """All rows of the ledger, oldest first; none while there is no ledger."""
        try:
            with reading(self.state / "ledger.sqlite") as reader:
                return list(queries.requests(reader, last=100_000))
        except LedgerError:
            return []

    def forget_rows(self) -> None:
        """Leave the rows of requests that began before now out of what `new_rows` returns."""
        self._since = timestamp(time.time())

    def new_rows(self, count: int = 1) -> list[Row]:
        """All rows since the last `forget_rows`, once there are `count` and each has its end.

        There may be more than `count`: a test that unpacks them finds that out.
        """

        def look() -> list[Row] | None:
            rows = [row for row in self.rows() if str(row["started_at"]) >= self._since]
            settled = all(row["outcome"] is not None for row in rows)
            return rows if settled and len(rows) >= count else None

        return eventually(look, f"{count} settled rows, in\n{self.output}")
