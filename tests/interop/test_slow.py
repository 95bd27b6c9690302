"""slowhttptest against the gateway: its clients are let go in time, and nobody else notices."""

from __future__ import annotations

import csv
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.chain import Chain, chain
from tests.interop.servers import program
from tests.process.gateway_process import PATIENCE

CONNECTIONS = 150
OPTIONS = "client_head_timeout = 2s\nclient_body_grace = 2s"
#: Seconds after which slowhttptest gives up waiting for its connections to be closed: twice what
#: the deadlines above take, and less than those take that hold where nothing is configured.
LIMIT = 14

#: What moves the cursor and sets colours.
_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory, peer: Path) -> Iterator[Chain]:
    """The provider behind the gateway."""
    folder = tmp_path_factory.mktemp("row")
    with chain(folder, peer, "Go's net/http behind", options=OPTIONS) as row:
        yield row


def attack(row: Chain, folder: Path, *mode: str, path: str) -> int:
    """Run slowhttptest, and return how many of its connections were open at once, at the most.

    Fails if one was still open in the end, or if a probe beside them was ever not answered.
    """
    row.gateway.forget_rows()
    command = [program("slowhttptest"), *mode, "-u", row.gateway.url + path]
    command += ["-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-i", "1", "-x", "8"]
    command += ["-l", str(LIMIT), "-p", "3", "-g", "-o", "report"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT + PATIENCE,
        check=False,
    )
    told = _TERMINAL.sub("", done.stdout)
    assert "Exit status: No open connections left" in told, told + done.stderr
    assert set(re.findall(r"service available:\s+(\w+)", told)) == {"YES"}
    with (folder / "report.csv").open(newline="") as report:
        seconds = list(csv.DictReader(report))
    # A column of the number of connections, or of 0 in a second without service.
    assert {second["Service Available"] for second in seconds} == {str(CONNECTIONS)}
    assert row.gateway.accepts()
    return max(int(second["Connected"]) for second in seconds)


def test_slow_heads_are_let_go_and_others_are_served_meanwhile(row: Chain, tmp_path: Path) -> None:
    """H3: a line of the head every second does not move the deadline."""
    assert attack(row, tmp_path, "-H", path="/v1/files/1000/content") > CONNECTIONS // 2


def test_slow_uploads_are_let_go_and_others_are_served_meanwhile(
    row: Chain, tmp_path: Path
) -> None:
    """H3: of bodies that are passed on while they come; each is told of and has its row."""
    assert attack(row, tmp_path, "-B", "-s", "8192", path="/v1/files") > CONNECTIONS // 2
    rows = row.gateway.new_rows(CONNECTIONS)
    assert sum(record["status_sent"] == 408 for record in rows) == CONNECTIONS


def test_slow_prompts_are_let_go_and_others_are_served_meanwhile(
    row: Chain, tmp_path: Path
) -> None:
    """H3: of bodies that are read before anything is asked; nothing is asked for them."""
    mode = ("-B", "-s", "8192", "-f", "application/json")
    assert attack(row, tmp_path, *mode, path="/v1/chat/completions") > CONNECTIONS // 2
    asked = [record["method"] for record in row.gateway.new_rows() if record["attempts"]]
    assert set(asked) == {"GET"}  # by the probes


def test_heads_with_thousands_of_ranges_are_answered(row: Chain, tmp_path: Path) -> None:
    """H3: they are the provider's to refuse, and cost the gateway nothing."""
    attack(row, tmp_path, "-R", path="/v1/files/1000/content")
    rows = row.gateway.new_rows(CONNECTIONS)
    assert {record["status_sent"] for record in rows} == {200}
