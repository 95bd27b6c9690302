"""What a unit of each work may cost, in ``budget.ini``, and whether it does.

A figure may not be above its budget, nor more than `_GAIN` below it: then the budget is to be
lowered, so that the gain is kept.  Pythons make a little more or less of the same code, so on
another than the budget was counted with, a figure may be `_OTHER` above and any amount below.
Memory may be `_NOISE` above.
"""

from __future__ import annotations

import configparser
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.hotpath.works import Work

FILE: Final = Path(__file__).with_name("budget.ini")
WRITE: Final = "python -m tests.hotpath.count --write"

_GAIN: Final = 0.05
_OTHER: Final = 0.10
#: By how much a figure may differ from one run to the next: what is free in Python's own lists
#: decides over a float here and there.
_NOISE: Final = {"bytes": 0.01}
#: How many lines say what makes a figure up.
_TOP: Final = 15

_COUNTED: Final = "counted with"
_PYTHON: Final = "python"

_HEAD: Final = f"""\
# What an event or a request may cost, in calls, and a held stream, in bytes; written by
#     {WRITE}
# Raise it on purpose only.  docs/performance.rst, "What keeps it so", tells of it.

"""

#: By works' names and figures' keys.
Figures = Mapping[str, Mapping[str, float]]


def running() -> str:
    """The Python that runs."""
    return ".".join(platform.python_version_tuple()[:2])


@dataclass(frozen=True, slots=True)
class Budget:
    """Figures, and the Python that they were counted with."""

    python: str
    figures: Figures

    @classmethod
    def read(cls, path: Path = FILE) -> Budget:
        """The budget in a file."""
        parser = configparser.ConfigParser()
        parser.read_string(path.read_text(encoding="ascii"))
        python = parser[_COUNTED][_PYTHON]
        parser.remove_section(_COUNTED)
        figures = {
            name: {key: float(value) for key, value in parser[name].items()}
            for name in parser.sections()
        }
        return cls(python, figures)

    def write(self, path: Path = FILE) -> None:
        """Put it into a file."""
        parser = configparser.ConfigParser()
        parser[_COUNTED] = {_PYTHON: self.python}
        for name, figures in self.figures.items():
            parser[name] = {key: f"{value:g}" for key, value in figures.items()}
        with path.open("w", encoding="ascii") as file:
            file.write(_HEAD)
            parser.write(file)
        text = path.read_text(encoding="ascii")
        path.write_text(text.rstrip("\n") + "\n", encoding="ascii")

    def check(
        self, work: Work, counted: Mapping[str, float], top: Sequence[str], python: str = running()
    ) -> None:
        """Fail if a figure of `work`, counted with `python`, is out of its bounds.

        `top` are the lines that say what is called, or allocated, most.
        """
        __tracebackhide__ = True  # what is told says it all
        problems = [
            problem
            for key, figure in counted.items()
            if (problem := self._problem(work, key, figure, python)) is not None
        ]
        if problems:
            everything = f"python -m tests.hotpath.count --work '{work.name}' --top 999"
            what = "allocated" if "bytes" in counted else "called"
            lines = [*problems, f"{what} most per {work.unit} ({everything} tells all):"]
            lines += top[:_TOP]
            raise AssertionError("\n".join(lines))

    def _problem(self, work: Work, key: str, figure: float, python: str) -> str | None:
        budget = self.figures.get(work.name, {}).get(key)
        if budget is None:
            return f"{work.name}: {FILE.name} has no {key}; {WRITE} writes it"
        what = f"{work.name}: {key} are {figure:g} per {work.unit}, and the budget is {budget:g}"
        if python != self.python:
            if figure <= budget * (1 + _OTHER):
                return None
            return (
                f"{what}, of Python {self.python}, and {_OTHER:.0%} more on this {python}; if it "
                f"has to be so, raise the budget with Python {self.python}: {WRITE}"
            )
        if figure > budget * (1 + _NOISE.get(key, 0.0)):
            return f"{what}; if it has to be so, raise the budget: {WRITE}"
        if figure < budget * (1 - _GAIN):
            return f"{what}; that it is cheaper now is kept by lowering the budget: {WRITE}"
        return None
