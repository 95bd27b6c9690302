"""Counters of several processes, living and gone, added up.

`Samples` is what a process says: by the name of a metric, rows of its labels' values and its value;
a histogram's value is a list, how many fell into each bucket (the last is beyond all) and then
their sum.

Invariant: of a process that is gone, everything that only grows is kept (`departed`), so that sums
over all never go backwards.  Called by whoever keeps a supervisor's fleet, and by `exposition`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from .families import FAMILIES, Family, Kind
from .meter import OTHER

Value: TypeAlias = float | list[float]
Samples: TypeAlias = dict[str, list[tuple[list[str], Value]]]
#: What `added` yields: values by labels, by the name of a metric.
Sums: TypeAlias = dict[str, dict[tuple[str, ...], Value]]

#: How many models are told apart of processes that are gone: a gateway that is reloaded for years
#: must not remember each that anybody ever asked for.
MODELS_GONE: Final = 1000


def added(said: Iterable[Mapping[str, Iterable[tuple[Iterable[str], Value]]]]) -> Sums:
    """All samples, those with the same labels added up.  What is no known metric is left out."""
    sums: Sums = {}
    for samples in said:
        for name, rows in samples.items():
            if name not in FAMILIES:
                continue
            family = sums.setdefault(name, {})
            for labels, value in rows:
                _add(family, tuple(labels), value)
    return sums


def departed(before: Samples, last: Samples) -> Samples:
    """What is kept of processes that are gone: `before`, and the last samples of one more."""
    sums = added((before, {name: rows for name, rows in last.items() if _is_kept(name)}))
    return {name: _listed(FAMILIES[name], values) for name, values in sums.items()}


def _is_kept(name: str) -> bool:
    family = FAMILIES.get(name)
    return family is not None and family.kind is not Kind.GAUGE and not family.of_worker


def _add(family: dict[tuple[str, ...], Value], labels: tuple[str, ...], value: Value) -> None:
    there = family.get(labels)
    if there is None:
        family[labels] = list(value) if isinstance(value, list) else value
    elif isinstance(there, list) and isinstance(value, list) and len(there) == len(value):
        for index, more in enumerate(value):
            there[index] += more
    elif not isinstance(there, list) and not isinstance(value, list):
        family[labels] = there + value
    # else it is a histogram of another version of the code, with other buckets: the newer stays


def _listed(
    family: Family, values: Mapping[tuple[str, ...], Value]
) -> list[tuple[list[str], Value]]:
    """Samples of one metric, with no more than so many models."""
    if "model" in family.labels:
        place = family.labels.index("model")
        models = dict.fromkeys(labels[place] for labels in values)
        kept = {OTHER, *list(models)[:MODELS_GONE]}
        bounded: dict[tuple[str, ...], Value] = {}
        for labels, value in values.items():
            if labels[place] not in kept:
                labels = (*labels[:place], OTHER, *labels[place + 1 :])
            _add(bounded, labels, value)
        values = bounded
    return [(list(labels), value) for labels, value in values.items()]
