"""A journal that tests listen at, and the other side of its protocol."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from twisted.logger import ILogObserver, Logger, globalLogPublisher

from gateway.journal import log_record
from gateway.record import ErrorCode, Intent, Outcome, Phase, Record, Usage
from gateway.redact import Redactor, redacting

INTENT = Intent(
    "id-1", 1.0, "i", "r", "up", "openai_chat", "POST", "/v1/chat/completions", "m", True,
    "t", None, "127.0.0.1", None, 10,
)  # fmt: skip
FINISHED = Record(
    INTENT, 2.0, Outcome.FINISHED, Phase.DONE, status_sent=200, events=5,
    head_ms=12.3456, first_event_ms=20.0, duration_ms=1234.5, usage=Usage(9, output_tokens=0),
)  # fmt: skip
FAILED = Record(
    INTENT, 2.0, Outcome.UPSTREAM_FAILED, Phase.HEAD, ErrorCode.TLS, "not for this host",
)  # fmt: skip

#: A secret that the gateway of these tests knows, in no vendor's form.
SECRET = "of/nobody+else"

#: File seals, of which a journal wants all (memfd_create(2)).
ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def parse(data: bytes) -> list[tuple[str, str]]:
    """The fields of an entry, in their order."""
    fields = []
    while data:
        line, newline, rest = data.partition(b"\n")
        assert newline, f"a field without an end: {line!r}"
        name, equals, value = line.partition(b"=")
        if equals:
            data = rest
        else:
            (length,) = struct.unpack_from("<Q", rest)
            value, end, data = (
                rest[8 : 8 + length],
                rest[8 + length : 9 + length],
                rest[9 + length :],
            )
            assert end == b"\n"
            assert len(value) == length
        fields.append((name.decode("ascii"), value.decode("utf-8")))
    return fields


class Journal:
    """Listens as journald does."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._open()

    def _open(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.path)

    def close(self) -> None:
        """Stop listening, as a journal that is stopped does."""
        self._socket.close()
        os.unlink(self.path)

    def reopen(self) -> None:
        """Listen again: another socket at the same place."""
        self._open()

    def read(self) -> bytes | None:
        """The next entry as it came; None if there is none."""
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(1 << 20, room)
        except BlockingIOError:
            return None
        for _, _, rights in ancillary:
            assert data == b""
            (descriptor,) = array.array("i", rights)
            with open(descriptor, "rb") as file:
                assert fcntl.fcntl(file, fcntl.F_GET_SEALS) == ALL_SEALS
                file.seek(0)
                data = file.read()
        return data

    def entries(self) -> list[dict[str, str]]:
        """All entries that have come; no field of an entry comes twice."""
        found = []
        while (data := self.read()) is not None:
            fields = parse(data)
            assert len(dict(fields)) == len(fields)
            found.append(dict(fields))
        return found


def through(observer: ILogObserver) -> Logger:
    """A logger whose records reach `observer` as they would in a gateway with one secret."""
    return Logger("gateway.test", observer=redacting(observer, Redactor([SECRET])))


def settle(observer: ILogObserver, record: Record) -> None:
    """Log the end of a request."""
    publish(observer, lambda: log_record(record))


def publish(observer: ILogObserver, log: Callable[[], None]) -> None:
    """Let `observer` hear what `log` says to everybody."""
    redacted = redacting(observer, Redactor([SECRET]))
    globalLogPublisher.addObserver(redacted)
    try:
        log()
    finally:
        globalLogPublisher.removeObserver(redacted)
