"""The files that the benchmark writes."""

from __future__ import annotations

import csv
import importlib
import io
import json

import pytest

from bench.files import Run, as_csv, as_json, as_rst, replaced
from bench.plot import bars, label
from bench.proxy import ROOT
from bench.report import DIRECT, results
from tests.bench.samples import sample


def run() -> Run:
    """A run of two proxies, one of which could not be had."""
    samples = [
        sample(DIRECT, None),
        sample("go", 0.4, bunched=5_000),
        sample("gateway", 0.6),
    ]
    return Run(
        {"Date": "2026-11-20", "Command": "``python -m bench.run``"},
        {"go": ("go1.27", "One thread."), "gateway": ("txgateway", "As it comes.")},
        1,
        {"caddy": "it said:\n`no such option`"},
        samples,
        results(samples),
    )


def test_the_part_of_the_page_that_is_generated_is_sound_and_complete() -> None:
    page = (
        importlib.import_module("docutils.core")
        .publish_string(
            as_rst(run(), "performance.svg"),
            writer="html",
            settings_overrides={"halt_level": 2, "input_encoding": "unicode"},
        )
        .decode()
    )

    for text in (
        "30.0 (1.50)",
        "20.0° (1.00)",
        "came together",
        "performance.svg",
        "no such option",
    ):
        assert text in page


@pytest.mark.parametrize("author", ["bench", "bench.profile"])
def test_the_page_in_the_repository_has_a_place_for_the_results(author: str) -> None:
    page = (ROOT / "docs" / "performance.rst").read_text(encoding="utf-8")

    once = replaced(page, "<one run>", author)
    again = replaced(once, "<another run>", author)

    assert "<one run>" in once
    assert again == once.replace("<one run>", "<another run>")
    assert again.startswith("Performance\n===")
    assert again.endswith(page[-200:])


def test_a_page_without_a_place_for_the_results_is_refused() -> None:
    with pytest.raises(ValueError, match="begin of what bench writes"):
        replaced("Performance\n", "results", "bench")


def test_csv_has_a_line_for_each_figure() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(run()))))

    (cpu,) = [line for line in lines if (line["proxy"], line["figure"]) == ("gateway", "cpu_us")]
    assert (cpu["work"], cpu["median"], cpu["rounds"]) == ("S10k", "30", "1")


def test_json_has_results_samples_and_what_was_left_out() -> None:
    read = json.loads(as_json(run()))

    assert [result["proxy"] for result in read["results"]] == [DIRECT, "go", "gateway"]
    assert read["results"][2]["ratios"] == {"go": 1.5}
    assert read["samples"][1]["client"]["bunched"] == 5_000
    assert list(read["left_out"]) == ["caddy"]


def test_bars_are_drawn_of_what_is_known_and_positive() -> None:
    samples = [
        sample(DIRECT, None),
        sample("go", 0.4, latency_ms={"p50": 0.1, "p99": 1.0, "max": 1.0}),
        sample("gateway", 0.6, latency_ms={"p50": 0.9, "p99": 5.0, "max": 9.0}),
    ]

    assert bars(results(samples), "S10k", "added_p99_ms") == [("gateway", 3.0)]
    assert bars(results(samples), "S10k", "pss_kib") == []


def test_labels_have_three_digits_and_no_exponent() -> None:
    assert [label(value) for value in (13_060.4, 99.96, 4.583, 0.4171)] == [
        "13,060",
        "100",
        "4.58",
        "0.417",
    ]
