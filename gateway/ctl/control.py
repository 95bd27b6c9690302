"""``gatewayctl status | streams | drain | kill``: a running gateway, looked at and steered."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from typing import Any, Final

from .arguments import Commands
from .asking import Asker, AskError, add_place, ask
from .output import NAME, RIGID, Column, Row, Table, count, plural, print_json, shown

_WHOLE_ID: Final = 36
#: Seconds between two looks at a gateway that drains.
_LOOK: Final = 1.0


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """The commands and their arguments."""
    status = _parser(commands, common, "status", "show how a running gateway is doing", run_status)
    _json(status)
    streams = _parser(commands, common, "streams", "show the requests that run", run_streams)
    streams.description = (
        "Show the requests that run, the oldest first. SILENT is how long nothing has come from "
        "the upstream, and how long the client has taken nothing; '-' is what there is not yet."
    )
    _json(streams)
    drain = _parser(
        commands, common, "drain", "stop a gateway gracefully, as SIGTERM does", run_drain
    )
    drain.add_argument(
        "--wait", action="store_true", help="tell how far it is, until the gateway is gone"
    )
    kill = _parser(commands, common, "kill", "end a request that runs", run_kill)
    kill.add_argument(
        "stream", metavar="STREAM", help="its id, or the beginning of it; gatewayctl streams has it"
    )


def _parser(
    commands: Commands, common: argparse.ArgumentParser, name: str, about: str, run: object
) -> argparse.ArgumentParser:
    description = f"{about[0].upper()}{about[1:]}."
    parser = commands.add_parser(name, parents=[common], help=about, description=description)
    add_place(parser)
    parser.set_defaults(run=run)
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


# Status.


def run_status(arguments: argparse.Namespace) -> int:
    """Print how the gateway is doing; 1 if it does not take new connections."""

    async def question(asker: Asker, reactor: Any) -> dict[str, Any]:
        return await asker.get("/api/v1/status")

    status = ask(arguments, question)
    if arguments.json:
        print(json.dumps(status))
    else:
        print(
            f"{status['state']}: {plural(status['streams'], 'stream')}, "
            f"generation {status['generation']}, configuration {shown(status['source'], '-')}, "
            f"version {status['version']}"
        )
        if status["reloaded"] is False:
            print("the last reload was refused; the log says why")
        if status["restarts"]:
            print(f"{plural(status['restarts'], 'worker')} died and came back since the start")
        Table(_STATUS, status["workers"]).print()
    return 0 if status["state"] in ("serving", "reloading") else 1


def _moment(seconds: Any) -> str:
    moment = datetime.datetime.fromtimestamp(float(seconds), datetime.UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}"


_STATUS: Final = [
    Column("WORKER", lambda row: shown(row["name"], "-")),
    Column("PID", lambda row: str(row["pid"]), right=True),
    Column("GENERATION", lambda row: str(row["generation"]), right=True),
    Column("STATE", lambda row: shown(row["state"], "-")),
    Column("STREAMS", lambda row: str(row["streams"]), right=True),
    Column("STARTED (UTC)", lambda row: _moment(row["started"])),
]


# Streams.


def run_streams(arguments: argparse.Namespace) -> int:
    """Print what runs."""
    answer = ask(arguments, _streams)
    rows = answer["streams"]
    if arguments.json:
        print_json(rows)
    elif rows:
        Table(_STREAMS, rows).print()
        if answer["open"] > len(rows):
            print(f"and {answer['open'] - len(rows)} younger ones", file=sys.stderr)
    else:
        print("no request runs", file=sys.stderr)
    return 0


async def _streams(asker: Asker, reactor: Any) -> dict[str, Any]:
    return await asker.get("/api/v1/streams")


def _seconds(value: Any) -> str:
    return "-" if value is None else f"{float(value):.1f}s"


def _silent(row: Row) -> str:
    both = (row["upstream_silent_seconds"], row["client_silent_seconds"])
    return "/".join(_seconds(value) for value in both)


def _phase(row: Row) -> str:
    phase = shown(row["phase"], "-")
    if row["client_left"]:
        return f"{phase}, client left"
    return f"{phase}, paused" if row["paused"] else phase


_STREAMS: Final = [
    Column("ID", lambda row: shown(row["id"], "-"), floors=RIGID),
    Column("ROUTE", lambda row: shown(row["route"], "-"), floors=NAME),
    Column("MODEL", lambda row: shown(row["model"], "-"), floors=NAME),
    Column("TENANT", lambda row: shown(row["tenant"], "-"), floors=NAME),
    Column("PHASE", _phase),
    Column("AGE", lambda row: _seconds(row["age_seconds"]), right=True),
    Column("BYTES", lambda row: count(row["response_bytes"]), right=True),
    Column("EVENTS", lambda row: count(row["events"]), right=True),
    Column("IN", lambda row: count(row["input_tokens"], "-"), right=True),
    Column("OUT", lambda row: count(row["output_tokens"], "-"), right=True),
    Column("SILENT", _silent, right=True),
]


# Drain.


def run_drain(arguments: argparse.Namespace) -> int:
    """Have the gateway stop."""

    async def question(asker: Asker, reactor: Any) -> None:
        await asker.post("/api/v1/drain")
        print("the gateway takes no more connections, and ends when its streams have", flush=True)
        if arguments.wait:
            await _until_gone(asker, reactor)

    ask(arguments, question)
    return 0


async def _until_gone(asker: Asker, reactor: Any) -> None:
    from twisted.internet.task import deferLater

    began, told = time.monotonic(), None
    while True:
        try:
            status = await asker.get("/api/v1/status")
        except AskError as error:
            if not error.gone:
                raise
            print(f"gone after {time.monotonic() - began:.0f} s", flush=True)
            return
        line = f"{status['state']}: {plural(status['streams'], 'stream')}"
        if line != told:
            print(line, flush=True)
            told = line
        await deferLater(reactor, _LOOK)


# Kill.


def run_kill(arguments: argparse.Namespace) -> int:
    """End one request."""

    async def question(asker: Asker, reactor: Any) -> int:
        meant = arguments.stream.lower()
        rows = (await _streams(asker, reactor))["streams"]
        found = [row["id"] for row in rows if row["id"].startswith(meant)]
        if not found and len(meant) == _WHOLE_ID:
            found = [meant]  # it need not be among those that are listed
        if len(found) != 1:
            why = (
                f"{len(found)} ids begin so, write more of it" if found else "no such request runs"
            )
            print(f"gatewayctl: {arguments.stream}: {why}", file=sys.stderr)
            return 1
        await asker.post(f"/api/v1/streams/{found[0]}/kill")
        print(f"{found[0]}: ended")
        return 0

    return ask(arguments, question)
