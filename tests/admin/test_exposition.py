"""What Prometheus reads, judged by prometheus-client's own parser and by promtool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin.exposition import MISSING, MetricsMissing, render
from gateway.admin.families import BUCKETS, FAMILIES, Family, Kind
from gateway.admin.fleet import State, Status, Worker
from gateway.admin.sums import Samples, Value
from tests.admin.asked import Asked, error_of

DOCS = Path(__file__).parents[2] / "docs" / "admin.rst"

STATUS = Status(
    State.SERVING,
    2,
    (
        Worker("w1", 1, 1, State.DRAINING, 1, 1.7e9),
        Worker("w2", 2, 2, State.SERVING, 1, 1.7e9),
        Worker("w3", 3, 2, State.SERVING, 1, 1.7e9),
    ),
    "gateway.ini",
    reloaded=True,
)


def value_of(family: Family) -> Value:
    return [1.0] * (len(BUCKETS) + 2) if family.kind is Kind.HISTOGRAM else 2.0


def everything(worker: str, generation: int) -> dict[str, Any]:
    """A report with a sample of every metric that a worker can have."""
    samples: Samples = {
        family.name: [(["x"] * len(family.labels), value_of(family))]
        for family in FAMILIES.values()
        if family.name not in ("gateway_workers", "gateway_generation")
    }
    return {"worker": worker, "generation": generation, "metrics": samples}


def read(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_metric_is_written_with_its_kind_and_words() -> None:
    text = render([everything("w2", 2)], STATUS).decode()
    for family in FAMILIES.values():
        assert f"# HELP {family.shown} {family.doc}\n" in text
        assert f"# TYPE {family.shown} {family.kind.value}\n" in text


def test_workers_are_added_up() -> None:
    told = read(render([everything("w2", 2), everything("w3", 2)], STATUS))
    where = (("route", "x"), ("upstream", "x"))
    assert told["gateway_keepalives_total", where] == 4.0
    assert told["gateway_time_to_head_seconds_count", where] == 2.0 * (len(BUCKETS) + 1)


def test_what_is_of_one_process_is_told_for_each() -> None:
    told = read(render([everything("w2", 2), everything("w3", 2)], STATUS))
    for worker in ("w2", "w3"):
        labels = (("generation", "2"), ("worker", worker))
        assert told["gateway_worker_cpu_seconds_total", labels] == 2.0


def test_workers_are_counted_by_generation_and_state() -> None:
    told = read(render([], STATUS))
    assert told["gateway_workers", (("generation", "1"), ("state", "draining"))] == 1
    assert told["gateway_workers", (("generation", "2"), ("state", "serving"))] == 2
    assert told["gateway_ready", ()] == 1


def test_buckets_are_cumulative_and_end_with_all() -> None:
    told = read(render([everything("w2", 2)], STATUS))
    where = {"route": "x", "upstream": "x"}
    counts = [
        told["gateway_time_to_head_seconds_bucket", tuple(sorted({**where, "le": end}.items()))]
        for end in [*(f"{end:g}" for end in BUCKETS), "+Inf"]
    ]
    assert counts == [float(n + 1) for n in range(len(BUCKETS) + 1)]


def test_a_model_with_quotes_and_line_feeds_breaks_nothing() -> None:
    name = 'a"b\\c\nd{}='
    report = {
        "worker": "w",
        "generation": 1,
        "metrics": {"gateway_tokens": [([name, "input"], 3.0)]},
    }
    told = read(render([report], STATUS))
    assert told["gateway_tokens_total", (("kind", "input"), ("model", name))] == 3.0


def test_without_the_extra_metrics_say_what_to_install(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MetricsMissing):
        render([], STATUS)
    answer = asked.ask("/metrics")
    assert (answer.status, error_of(answer)) == (501, MISSING)


def test_metrics_are_text_of_the_version_that_everybody_reads(asked: Asked) -> None:
    asked.fleet.reports["metrics"] = [everything("w2", 2)]
    answer = asked.ask("/metrics")
    assert answer.get(b"content-type") == b"text/plain; version=0.0.4; charset=utf-8"
    assert read(answer.body)


def check_by_promtool(text: bytes) -> None:
    """Fail on anything that promtool has to say; left out where it is not, but for CI."""
    promtool = shutil.which("promtool")
    if promtool is None:
        assert os.environ.get("CI") != "true", "promtool is not there"
        pytest.skip("promtool is not there; on Debian it is in the package prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, timeout=20, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_promtool_has_nothing_to_say() -> None:
    check_by_promtool(render([everything("w2", 2), everything("w3", 2)], STATUS))


def test_the_table_in_the_documentation_is_that_of_the_code() -> None:
    """Name, kind and labels of every metric, in the order of the code."""
    found = re.findall(
        r"^   \* - ``(gateway_\w+)``\n     - (\w+)\n     - (.*)$", DOCS.read_text(), re.MULTILINE
    )
    labels = {
        family.shown: ("worker", "generation") if family.of_worker else ()
        for family in FAMILIES.values()
    }
    assert found == [
        (
            family.shown,
            family.kind.value,
            ", ".join(f"``{name}``" for name in (*labels[family.shown], *family.labels)) or "none",
        )
        for family in FAMILIES.values()
    ]
