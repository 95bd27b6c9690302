"""SIGHUP before the gateway serves: it ends nothing, and no reload that it asks for is lost."""

from __future__ import annotations

import os
from pathlib import Path

from tests.process.gateway_process import ROOT, GatewayProcess
from tests.process.workers_gateway import WorkersGateway

#: Loaded by every Python process of the gateway: the one that twistd runs gets SIGHUP as soon as
#: the first module of the service is about to be imported.
_SITECUSTOMIZE = """\
import os, signal, sys

def hang_up(event, arguments):
    if event == "import" and arguments[0] == "gateway.tap":
        os.write(2, b"SIGHUP\\n")
        os.kill(os.getpid(), signal.SIGHUP)

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
if "gateway.worker" not in sys.orig_argv:
    sys.addaudithook(hang_up)
"""


def hung_up_early(folder: Path) -> dict[str, str]:
    """The environment of a gateway that gets SIGHUP at once."""
    place = folder / "early"
    place.mkdir()
    (place / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    return {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}


def test_a_hangup_does_not_end_a_gateway_that_starts(tmp_path: Path) -> None:
    """O3: nor does it mean anything to one process."""
    with GatewayProcess(tmp_path, options="demo = on", environ=hung_up_early(tmp_path)) as gateway:
        assert "SIGHUP" in gateway.output


def test_a_reload_that_is_asked_for_during_a_start_follows_it(tmp_path: Path) -> None:
    """O3: the file may have been written after the start had read it."""
    environ = hung_up_early(tmp_path)
    gateway = WorkersGateway(tmp_path, options="workers = 1\ndemo = on", environ=environ)
    try:
        gateway.start()
        gateway.wait_for_log("generation 2 serves")
        gateway.wait_for_names("g2w0")
        assert gateway.output.count("SIGHUP") == 1
    finally:
        gateway.kill()
