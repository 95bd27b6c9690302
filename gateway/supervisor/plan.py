"""What the supervisor has to know of a configuration, and the process that finds it out.

``python -m gateway.supervisor.plan FILE NAME`` judges a file by the installed code, which after an
upgrade is not the code that the supervisor runs, and writes JSON: a `Plan`, or every problem.
Secrets are looked for, as the workers will need them, and left out.  An operator's hook module is
loaded, so that one that cannot be is found before any worker is started.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from ..config import Config, ConfigError, parse, read_file
from ..config.advice import advice
from ..hooks.loader import hooks_of

#: Of what is written here, and of what a worker is told (`gateway.supervisor.assignment`).
VERSION: Final = 1
#: Seconds after which the process that judges ends by itself: a file or a module may have it wait
#: for ever, and the supervisor, which waits less, may be gone.
LIFETIME: Final = 90


class PlanError(Exception):
    """There is no plan.  `problems` are sentences, one for each thing that is wrong."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A validated configuration, as far as it concerns the supervisor.

    Each is itself alone: a file that is read again makes another generation.
    """

    source: str  #: the file's name as it was given
    text: str  #: what the file held; workers read this, whatever stands in the file by then
    listen: tuple[str, ...]
    workers: int  #: at least 1
    drain_timeout: float  #: seconds
    max_draining: int
    state_dir: str
    ledger: str  #: the path of the SQLite file
    durability: str
    ship: bool  #: rows go on to a database
    rows_go_to: str  #: the same, for people
    advice: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config, text: str) -> Self:
        """The plan for a configuration that was read from `text`."""
        gateway, ledger = config.gateway, config.ledger
        path = str(ledger.path)
        return cls(
            source=config.source,
            text=text,
            listen=gateway.listen,
            workers=gateway.workers,
            drain_timeout=gateway.drain_timeout,
            max_draining=gateway.max_draining,
            state_dir=str(gateway.state_dir),
            ledger=path,
            durability=ledger.durability.value,
            ship=ledger.postgres is not None,
            rows_go_to=path if ledger.postgres is None else f"{path}, then {ledger.postgres.place}",
            advice=tuple(advice(config)),
        )

    def to_json(self) -> str:
        """For `from_json`."""
        return json.dumps({"version": VERSION, "plan": asdict(self)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What `to_json` or the problems' JSON says; raises `PlanError`."""
        try:
            data: Any = json.loads(text)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise PlanError("the check of the configuration gave no answer that is a JSON object")
        if "problems" in data:
            raise PlanError(*data["problems"])
        fields = data.get("plan", {})
        if data.get("version") != VERSION or not cls.__dataclass_fields__.keys() <= fields.keys():
            raise PlanError(
                "the installed gateway is too different from the running one to be reloaded, "
                "restart it"
            )
        known = {name: fields[name] for name in cls.__dataclass_fields__}
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**{**known, **lists})


def main(arguments: list[str]) -> int:
    """Write the JSON for a file, which messages call by a name; 0 if it holds a plan."""
    path, source = arguments
    try:
        data = read_file(path)
        config = parse(source, data)
        with redirect_stdout(sys.stderr):  # what the module prints is no part of the answer
            hooks_of(config)
        plan = Plan.of(config, data.decode("utf-8"))
        if plan.workers == 0:
            raise PlanError(
                f"{source}: workers = 0 would mean one process instead of several, "
                "which takes a restart"
            )
    except (ConfigError, PlanError) as error:
        print(json.dumps({"problems": [str(problem) for problem in error.problems]}))
        return 1
    print(plan.to_json())
    return 0


def run(arguments: list[str]) -> int:
    """`main`, in a process of its own."""
    signal.alarm(LIFETIME)
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
