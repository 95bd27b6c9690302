"""How the supervisor runs Python: fresh processes of the installed code."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: What is said to this process alone: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
_NOT_PASSED_ON: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
)
#: The folder that holds this package.
_FOLDER: Final = str(Path(__file__).resolve().parents[2])


def command(module: str, *arguments: str) -> list[str]:
    """Run a module.  -P: the current folder is nobody's idea of where code is."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of such a process, which finds this package wherever it is."""
    passed = {name: value for name, value in environ.items() if name not in _NOT_PASSED_ON}
    if _FOLDER not in site.getsitepackages():
        passed["PYTHONPATH"] = os.pathsep.join(filter(None, (_FOLDER, passed.get("PYTHONPATH"))))
    return passed
