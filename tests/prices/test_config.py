"""What a configuration says of prices."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, load
from gateway.config.model import Prices

UPSTREAM = "[upstream api]\nurl = http://localhost\ndialect = openai\n"


def read(tmp_path: Path, text: str) -> Config:
    """The configuration in a text behind an upstream of three lines."""
    file = tmp_path / "g.ini"
    file.write_text(UPSTREAM + text)
    return load(file, {"HOME": "/home/someone"})


def test_a_section_of_prices_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    """A12: negotiated prices, from a day on."""
    config = read(
        tmp_path,
        "[prices a]\nmodel =\n  gpt-* o3\n  arn:aws:x/y:0\nupstream = api\n"
        "valid_from = 2026-10-01\n"
        "input = 0.25\noutput = $2\ncache_read = 0.025\ncache_write = 0.3\ncache_write_1h = 0.5\n"
        "reasoning = 0\n",
    )
    assert config.prices == (
        Prices(
            name="a",
            models=("gpt-*", "o3", "arn:aws:x/y:0"),
            upstreams=("api",),
            valid_from=datetime.date(2026, 10, 1),
            input=Decimal("0.25"),
            output=Decimal(2),
            cache_read=Decimal("0.025"),
            cache_write=Decimal("0.3"),
            cache_write_1h=Decimal("0.5"),
            reasoning=Decimal(0),
        ),
    )


def test_what_a_section_of_prices_does_not_say_is_left_open(tmp_path: Path) -> None:
    config = read(tmp_path, "[prices a]\nmodel = *\ninput = 1\noutput = 2\n")
    assert config.prices == (Prices("a", ("*",), Decimal(1), Decimal(2)),)
    assert config.upstreams["api"].prices == "auto"


@pytest.mark.parametrize(("text", "prices"), [("openai", "openai"), ("off", "off"), ("0", "off")])
def test_an_upstream_names_its_provider(tmp_path: Path, text: str, prices: str) -> None:
    assert read(tmp_path, f"prices = {text}\n").upstreams["api"].prices == prices


MINE = "[prices a]\nmodel = m\ninput = 1\noutput = 2\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[prices a]\ninput = 1\noutput = 2\n", "4: [prices a] model: this key is missing"),
        ("[prices a]\nmodel = m\ninput = 1\n", "4: [prices a] output: this key is missing"),
        (MINE.replace("1", "-1"), "6: [prices a] input: '-1' is not an amount of dollars, write"),
        (MINE.replace("1", "1 EUR"), "6: [prices a] input: '1 EUR' is not an amount"),
        (MINE.replace("1", "1e3"), "6: [prices a] input: '1e3' is not an amount"),
        (
            MINE + "valid_from = 2026-02-30\n",
            "8: [prices a] valid_from: '2026-02-30' is not a date",
        ),
        (MINE + "valid_from = 20261001\n", "8: [prices a] valid_from: '20261001' is not a date"),
        (
            MINE + "upstream = apis\n",
            "8: [prices a] upstream: there is no upstream section of this",
        ),
        (MINE.replace("m\n", "m,n\n"), "5: [prices a] model: 'm,n' is no name of a model, write"),
        (MINE.replace("a]", "a]\nname = b"), "5: [prices a] name: unknown key"),
        (
            MINE + MINE.replace("a]", "b]").replace("= m", "= o M"),
            "9: [prices b] model: [prices a] on line 4 has prices for M from the same day on",
        ),
        ("prices = Open AI\n", "4: [upstream api] prices: 'Open AI' is no provider's id, write"),
    ],
)
def test_what_is_wrong_with_prices_is_told(tmp_path: Path, text: str, problem: str) -> None:
    """O1: each problem with its line and what would be right."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert [str(found).split("g.ini:")[1][: len(problem)] for found in caught.value.problems] == [
        problem
    ]


def test_the_same_models_may_have_prices_from_several_days_on(tmp_path: Path) -> None:
    later = MINE.replace("a]", "b]") + "valid_from = 2027-01-01\n"
    assert len(read(tmp_path, MINE + later).prices) == 2


def test_a_provider_that_nobody_knows_is_a_problem(tmp_path: Path) -> None:
    """O1: where the list prices are installed, they can tell."""
    pytest.importorskip("genai_prices")
    with pytest.raises(ConfigError, match="knows no provider of this id, did you mean openai"):
        read(tmp_path, "prices = openia\n")
