"""The results as files: JSON, CSV, and the generated part of a page of documentation."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from . import tables
from .processes import BenchError
from .report import DIRECT, Result, Sample

_BEGIN: Final = ".. begin of what {} writes"
_END: Final = ".. end of what {} writes"


@dataclass(frozen=True, slots=True)
class Run:
    """A run and all that came of it."""

    about: Mapping[str, Any]  #: date, commit, machine, command
    proxies: Mapping[str, tuple[str, str]]  #: version and doc by name
    rounds: int
    left_out: Mapping[str, str]
    samples: Sequence[Sample]
    results: Sequence[Result]


def as_json(run: Run) -> str:
    """Everything that was measured."""
    works = {result.work.name: result.work for result in run.results}
    everything = {
        "about": run.about,
        "proxies": {
            name: {"version": version, "doc": doc} for name, (version, doc) in run.proxies.items()
        },
        "rounds": run.rounds,
        "left_out": run.left_out,
        "works": {
            name: {"doc": work.doc, "options": work.options, "light": work.light}
            for name, work in works.items()
        },
        "results": [result.as_json() for result in run.results],
        "samples": [sample.as_json() for sample in run.samples],
    }
    return json.dumps(everything, indent=1, ensure_ascii=False) + "\n"


def as_csv(run: Run) -> str:
    """The figures, a line each: work, proxy, figure, and its median, lowest and highest."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(["work", "proxy", "light", "rounds", "figure", "median", "lowest", "highest"])
    for result in run.results:
        start = [result.work.name, result.proxy, int(result.light), result.rounds]
        for name, figure in result.figures.items():
            values = [f"{value:.4g}" for value in (figure.median, figure.lowest, figure.highest)]
            writer.writerow([*start, name, *values])
    return output.getvalue()


def rounds_in_words(rounds: int) -> str:
    """What the figures are."""
    return "figures of one round" if rounds == 1 else f"medians of {rounds} rounds"


def as_rst(run: Run, plot: str | None) -> str:
    """The results for readers; `plot` is the path of the picture from there, if there is one."""
    parts = [
        "\n".join(f":{name}: {value}" for name, value in run.about.items()),
        f"{rounds_in_words(run.rounds).capitalize()}.",
    ]
    summary = tables.summary(run.results)
    if summary:
        words = "CPU time in µs of one event or request; in parentheses divided by Go's."
        parts.append(f"{words}\n\n{summary}")
    parts += [f"{mark}." for mark in tables.marks(run.results)]
    if plot is not None:
        alt = "CPU time, latency and memory of the proxies, as in the tables"
        parts.append(f".. image:: {plot}\n   :alt: {alt}")
    parts.append(heading("Who was measured"))
    parts += [f"``{name}``\n    {version}. {doc}" for name, (version, doc) in run.proxies.items()]
    if run.left_out:
        parts.append("Left out:")
        parts.append(
            "\n".join(f"- {what}: ``{in_one_line(why)}``" for what, why in run.left_out.items())
        )
    for section in tables.sections(run.results):
        doc = section.work.doc
        words = f"{doc[0].upper()}{doc[1:]}. {section.words}"
        parts.append(f"{heading(section.work.name)}\n\n{words}\n\n{section.table}")
    if any(result.proxy == DIRECT for result in run.results):
        parts.append(f"``{DIRECT}`` is the load without a proxy, over plain HTTP.")
    return "\n\n".join(parts) + "\n"


def heading(title: str) -> str:
    """The heading of a part of what is generated."""
    return f"{title}\n{'~' * len(title)}"


def in_one_line(reason: str) -> str:
    """A reason on one line, fit to stand between double backquotes."""
    line = " ".join(reason.replace("`", "'").split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def replaced(page: str, generated: str, author: str) -> str:
    """`page` with what `author` generates replaced; raises ValueError if it marks no such part."""
    first, last = _BEGIN.format(author), _END.format(author)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"it has no lines {first!r} and {last!r} for the results to stand between")
    return f"{before}{begin}\n\n{generated}\n{end}{after}"


def write(path: Path, text: str) -> None:
    """Write a file; raises `BenchError` if that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{path} cannot be written: {error}") from error


def write_rst(path: Path, run: Run, plot: Path | None) -> None:
    """Put the results into the page at `path`; raises `BenchError` if it cannot take them."""
    try:
        image = None if plot is None else str(plot.resolve().relative_to(path.resolve().parent))
    except ValueError as error:
        raise BenchError(f"{path}: {error}") from error
    write_part(path, as_rst(run, image), "bench")


def write_part(path: Path, generated: str, author: str) -> None:
    """Put what `author` generates into the page at `path`; raises `BenchError` if it cannot."""
    try:
        write(path, replaced(path.read_text(encoding="utf-8"), generated, author))
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: {error}") from error
