"""Profiles as tables, for a terminal, and as the part of a page of documentation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .files import heading, in_one_line
from .parts import PARTS
from .profiles import OTHER_THREADS, Profile
from .tables import simple_table

#: Functions that are named for each work.
TOP: Final = 10
_HEADS: Final = (
    *("work", "CPU s", "user %", "system %", "other threads %"),
    *("passes", "samples", "lost", "slowed", "no core %"),
)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share * 100:.1f}"


def parts_table(profiles: Sequence[Profile]) -> str:
    """The shares of each part in each work, in percent, of those that have any."""
    shares = [profile.shares() for profile in profiles]
    names = [*(part.name for part in PARTS), OTHER_THREADS]
    rows = [["%", *(profile.work.name for profile in profiles)]]
    rows += [
        [name, *(_percent(one[name]) for one in shares)]
        for name in names
        if any(one[name] for one in shares)
    ]
    return simple_table(rows)


def account_table(profiles: Sequence[Profile]) -> str:
    """What the system accounts to each work, and how it was looked at."""
    rows = [list(_HEADS)]
    for profile in profiles:
        alone = profile.alone
        rows.append(
            [
                profile.work.name,
                f"{alone.cpu:.2f}",
                _percent(alone.user / alone.cpu),
                _percent(alone.system / alone.cpu),
                _percent(1 - profile.main),
                f"{profile.passes}",
                f"{profile.samples:,}",
                f"{profile.errors}",
                f"{profile.slowed:.2f}",
                _percent(profile.coreless),
            ]
        )
    return simple_table(rows)


def functions_table(profile: Profile) -> str:
    """The functions with the most time of their own, in percent of the work's CPU time."""
    rows = [["function", "file", "%"]]
    for function, share in profile.functions(TOP):
        rows.append([f"``{function.name}``", f"``{function.file}``", _percent(share)])
    return simple_table(rows)


def late(profiles: Sequence[Profile]) -> Iterator[str]:
    """A line for each work in which the profiler could not keep up."""
    for profile in profiles:
        if profile.behind:
            yield f"{profile.work.name}: looks came up to {profile.behind:.1f} s late"


def text(profiles: Sequence[Profile]) -> str:
    """All of it for a terminal."""
    sections = [parts_table(profiles), account_table(profiles)]
    sections += [
        f"{profile.work.name}: {profile.work.doc}\n\n{functions_table(profile)}"
        for profile in profiles
    ]
    return "\n\n".join([*sections, *late(profiles)])


def as_rst(
    about: Mapping[str, str], profiles: Sequence[Profile], left_out: Mapping[str, str]
) -> str:
    """All of it for readers."""
    sections = [
        "\n".join(f":{name}: {value}" for name, value in about.items()),
        "Shares of the gateway's CPU time, in percent.",
        parts_table(profiles),
        "The same works in the system's account, and how they were looked at.",
        account_table(profiles),
        *(f"{line}." for line in late(profiles)),
    ]
    if left_out:
        lines = (f"- {what}: ``{in_one_line(why)}``" for what, why in left_out.items())
        sections += ["Left out:", "\n".join(lines)]
    sections += [heading("What belongs to which part"), *_legend()]
    for profile in profiles:
        sections += [heading(f"Functions of {profile.work.name}"), functions_table(profile)]
    return "\n\n".join(sections) + "\n"


def _legend() -> Iterator[str]:
    for part in PARTS:
        files = ", ".join(f"``{path}``" for path in part.paths)
        yield f"{part.name}\n    {part.doc[0].upper()}{part.doc[1:]}. {files}."
    yield f"{OTHER_THREADS}\n    The ledger's writer, and whoever asks the list prices."
