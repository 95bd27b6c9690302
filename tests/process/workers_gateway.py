"""A gateway with workers, as `GatewayProcess` has one, and what can be seen of its processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.process.gateway_process import _TWISTD, PATIENCE, GatewayProcess, eventually

#: Seconds that a generation may take to start before a test fails: several processes have to.
START_PATIENCE = 3 * PATIENCE

#: Loaded by every Python process of the gateway: lets a test make one fail or hang.
#: SIGUSR2 sends a worker into a loop, and a file ``broken`` keeps workers from starting.
_SITECUSTOMIZE = """\
import os, pathlib, signal, sys

def hang(*_):
    while True:
        pass

if "gateway.worker" in sys.orig_argv:
    signal.signal(signal.SIGUSR2, hang)
    if pathlib.Path("broken").exists():
        os._exit(3)
"""


class Seen(NamedTuple):
    """A worker's process."""

    name: str
    pid: int


class WorkersGateway(GatewayProcess):
    """See the module's text."""

    def __init__(
        self,
        folder: Path,
        sections: str = "",
        options: str = "workers = 2",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        super().__init__(folder, sections, options, environ)
        self._environ["PYTHONPATH"] += f"{os.pathsep}{site}"

    def run_daemon(self, *options: str) -> None:
        """Start it as a daemon of twistd's, which ends when it is told to."""
        command = (*_TWISTD, *options, "gateway", "--config", str(self.config))
        subprocess.run(command, cwd=self.folder, env=self._environ, timeout=PATIENCE, check=True)

    # What is done to it.

    def edit(self, old: str, new: str) -> WorkersGateway:
        """Change the configuration's file."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))
        return self

    def hang_up(self) -> None:
        """Send SIGHUP, and wait for nothing."""
        self.process.send_signal(signal.SIGHUP)

    def wait_for_log(self, text: str, count: int = 1) -> None:
        """Wait until `text` has been logged so often."""

        def look() -> bool:
            assert self.process.poll() is None, f"the gateway has ended:\n{self.output}"
            return self._log.read_bytes().count(text.encode()) >= count

        eventually(look, f"{text!r} in the log {count} times", START_PATIENCE)

    def reload(self, generation: int) -> None:
        """Send SIGHUP, and wait until this generation serves."""
        self.hang_up()
        self.wait_for_log(f"generation {generation} serves")

    def kill(self) -> None:
        """End all its processes with SIGKILL."""
        for _, pid in self.workers():
            _kill(pid)
        super().kill()
        for _, pid in self.workers():
            _kill(pid)

    # What can be seen of it.

    def workers(self) -> list[Seen]:
        """Its workers, by name: those that live, also after the supervisor's end."""
        found = []
        for place in Path("/proc").iterdir():
            try:
                command = (place / "cmdline").read_bytes().split(b"\0")
                if b"gateway.worker" in command and (place / "cwd").readlink() == self.folder:
                    name = command[command.index(b"gateway.worker") + 1].decode()
                    if (place / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                        found.append(Seen(name, int(place.name)))
            except OSError:
                continue
        return sorted(found)

    def worker(self, name: str) -> int:
        """The process id of the worker of that name, waited for."""
        return eventually(lambda: dict(self.workers()).get(name), f"worker {name} runs")

    def names(self) -> list[str]:
        """The names of its workers."""
        return [name for name, _ in self.workers()]

    def wait_for_names(self, *names: str) -> None:
        """Wait until just these workers live."""
        eventually(lambda: self.names() == list(names), f"workers {names}", START_PATIENCE)


def connections(pid: int, port: int) -> int:
    """How many of a process's connections came in on a port of IPv4."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and int(fields[1].split(":")[1], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    return sum(target in inodes for target in descriptors(pid).values())


def descriptors(pid: int) -> dict[int, str]:
    """What a process's descriptors are, as /proc has it."""
    found = {}
    for place in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(place.name)] = str(place.readlink())
        except FileNotFoundError:
            continue
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Manager:
    """What systemd listens on; `environ` is what it sets."""

    def __init__(self, folder: Path, watchdog: float | None = None) -> None:
        """`watchdog` is in seconds."""
        address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self.environ = {"NOTIFY_SOCKET": address}
        if watchdog is not None:
            self.environ["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
        self._states: list[str] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                states = self._socket.recv(65536).decode().splitlines()
            except OSError:
                return
            with self._lock:
                self._states += states

    @property
    def states(self) -> list[str]:
        """All that was told so far."""
        with self._lock:
            return list(self._states)

    def wait_for(self, start: str, count: int = 1) -> list[str]:
        """The states that begin so, once there are as many."""

        def look() -> list[str] | None:
            found = [state for state in self.states if state.startswith(start)]
            return found if len(found) >= count else None

        return eventually(look, f"{start} {count} times", START_PATIENCE)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


class Knocker:
    """Connects again and again, and asks; counts what was answered, and what went wrong."""

    def __init__(self, port: int) -> None:
        self.answered = 0
        self.problems: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Knocker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if sock.recv(5) != b"HTTP/":
                        self.problems.append("no answer")
            except OSError as error:
                self.problems.append(str(error))
            else:
                self.answered += 1
            time.sleep(0.002)  # one processor is for the gateway
