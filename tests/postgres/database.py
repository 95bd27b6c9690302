"""A real PostgreSQL server in a temporary folder, reached through a Unix socket there.

PostgreSQL refuses to run as root; then it runs as ``nobody``.  It is started, stopped and killed by
its own id.  A server that is not installed skips the tests that need it, and the reason says what
was left out; in CI (``CI=true``, as ``.ci/run`` has it) it fails them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from gateway.config.model import Postgres, Secret
from tests.process.gateway_process import PATIENCE, eventually

#: A user with a password; all others are believed.
GUARDED: Final = "guarded"
PASSWORD: Final = "canary-of-postgresql-7d20c4"

_ACCESS: Final = f"local all {GUARDED} scram-sha-256\nlocal all all trust\n"
#: A crash of the machine is not tested, and a file system that waits for its disk makes tests slow.
_SETTINGS: Final = "listen_addresses = ''\nfsync = off\nshared_buffers = 16MB\n"


def program(name: str) -> str:
    """The path of one of the server's programs: on the path, or where Debian keeps its versions."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders = [os.environ.get("PATH", os.defpath), *map(str, versions)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is not None:
        return found
    reason = f"not tested: rows in PostgreSQL; {name} is not installed (apt-get install postgresql)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class Server:
    """A server whose files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def make(self) -> None:
        """Make the cluster and its one user besides the superuser."""
        self._run(
            program("initdb"), "--no-sync", "--auth=trust", "--username=gateway",
            "--encoding=UTF8", "--locale=C", f"--pgdata={self._data}",
        )  # fmt: skip
        (self._data / "pg_hba.conf").write_text(_ACCESS)
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(f"{_SETTINGS}unix_socket_directories = '{self.folder}'\n")
        self.start()
        self.query("postgres", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start, and wait until it answers."""
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", str(self._data)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as_nobody(),
            )
        eventually(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            self.query("postgres", "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, and all connections to it: in order, or with SIGQUIT as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def ensure_running(self) -> None:
        """Start it if a test has left it stopped."""
        if self._process is None:
            self.start()

    def pause(self) -> None:
        """Have it neither answer nor go away."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """To the server and its sessions, each of which is a process of its own."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, number)

    def new_database(
        self, options: str = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"
    ) -> Postgres:
        """An empty database of its own; it sorts as people do, not byte by byte."""
        self._databases += 1
        name = f"ledger_{self._databases}"
        self.query("postgres", f"CREATE DATABASE {name} {options}")
        return Postgres(str(self.folder), 5432, name, "gateway")

    def query(
        self, database: str | Postgres, statement: str, values: Sequence[Any] = ()
    ) -> list[dict[str, Any]]:
        """What a statement gives, as another program sees it."""
        name = database if isinstance(database, str) else database.database
        with psycopg.connect(
            host=str(self.folder), dbname=name, user="gateway", autocommit=True
        ) as connection:
            cursor = connection.execute(statement, values or None)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor] if names else []

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            **_as_nobody(),
        )
        assert done.returncode == 0, done.stdout


def guarded(database: Postgres, password: str = PASSWORD) -> Postgres:
    """The same database for the user with a password."""
    return Postgres(
        database.host, database.port, database.database, GUARDED,
        password=Secret("env:PGPW", password),
    )  # fmt: skip


@contextmanager
def running_server() -> Iterator[Server]:
    """A server that runs; its folder is gone afterwards."""
    program("initdb")
    # Not in a folder of pytest's, which others may not enter; a socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    server = Server(folder)
    try:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        server.make()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder)


def _as_nobody() -> Mapping[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
