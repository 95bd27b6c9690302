"""The journal's own protocol: a datagram a record, with fields that ``journalctl`` can ask for.

Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ and systemd.journal-fields(7).  A field is
``NAME=value`` and a newline; a value with newlines in it is ``NAME``, a newline, its length as 64
bits (little-endian), the value and a newline.  What is too large for a datagram goes into a sealed
memory file, whose descriptor is passed in an empty one.

The socket is never connected: each record is sent to the path, so that a journal that was started
anew gets the next one.  One that is not there or has no room loses records, which are counted.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
from collections.abc import Mapping
from typing import Final

from twisted.logger import LogEvent

from ..record import COLUMNS, Value
from .fields import ABOUT, fields_of
from .line import priority, text_of
from .lossy import LossyObserver

#: Where journald listens.
SOCKET: Final = "/run/systemd/journal/socket"

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_NAMES: Final = {name: f"GATEWAY_{name.upper()}" for name in (*COLUMNS, *ABOUT)}


class NativeObserver(LossyObserver):
    """Sends log records to the journal; it wants them from `gateway.redact.redacting`.

    `path` is another socket than the journal's in tests.
    """

    structured = True

    def __init__(self, path: str = SOCKET, labels: Mapping[str, str | int] | None = None) -> None:
        super().__init__()
        self._path = path
        self._labels = labels or {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def _write(self, event: LogEvent) -> bool:
        try:
            self._send(entry(event, self._labels))
        except OSError:
            return False
        return True

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._path)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._send_file(data)

    def _send_file(self, data: bytes) -> None:
        descriptor = os.memfd_create("gateway-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(descriptor, "wb", buffering=0) as file:
            file.write(data)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = array.array("i", [descriptor])
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            self._socket.sendmsg([], ancillary, 0, self._path)


def entry(event: LogEvent, labels: Mapping[str, str | int]) -> bytes:
    """A record in the journal's format."""
    message = text_of(event)
    if (traceback := event.get("traceback")) is not None:
        message = f"{message}\n{traceback}"  # journalctl shows nothing else
    fields: list[tuple[str, Value]] = [
        ("SYSLOG_IDENTIFIER", "gateway"),
        ("PRIORITY", priority(event)),
        ("MESSAGE", message),
    ]
    if (kind := event.get("kind")) is not None:
        fields.append(("MESSAGE_ID", kind.value))
    if (code := event.get("code")) is not None:
        fields += zip(("CODE_FILE", "CODE_LINE", "CODE_FUNC"), code, strict=True)
    fields += [(_NAMES[name], value) for name, value in fields_of(event, labels).items()]
    lines = []
    long = b""
    for name, value in fields:
        text = (
            f"{int(value)}" if value.__class__ is bool else f"{value}"
        )  # 1 and 0, as in the ledger
        if "\n" in text:
            data = text.encode("utf-8", "backslashreplace")
            long += b"%b\n%b%b\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
        else:
            lines.append(f"{name}={text}\n")
    return "".join(lines).encode("utf-8", "backslashreplace") + long
