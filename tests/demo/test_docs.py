"""What the pages say of the simulated models is what `MODELS` says."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.config import builtin, with_demo
from gateway.demo.models import MODELS

PAGE = Path(__file__).parents[2] / "docs" / "demo.rst"
CLIENTS = PAGE.with_name("clients.rst")


def test_the_page_has_every_model_in_order_with_what_it_does() -> None:
    rows = re.findall(
        r"^   \* - ``(demo[a-z0-9-]*)``\n     - (.*)$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert rows == [(model.name, model.shows) for model in MODELS.values()]


def test_a_silence_ends_a_stream_after_as_long_as_the_page_says_unless_told_otherwise() -> None:
    *_, route = with_demo(builtin({"HOME": "/nowhere"}), 1).routes
    assert f"a silence of {route.idle_timeout:g} s ends a stream" in PAGE.read_text("utf-8")
    assert route.first_event_timeout == route.idle_timeout


def test_the_page_of_clients_names_no_model_that_there_is_not() -> None:
    named = set(re.findall(r"``(demo[a-z0-9-]*)``", CLIENTS.read_text(encoding="utf-8")))
    assert named
    assert named <= set(MODELS)


def test_the_settings_to_copy_name_a_model_that_there_is() -> None:
    page = CLIENTS.read_text(encoding="utf-8")
    copied = re.findall(r"""model["']?\s*[=:]\s*["']([a-z0-9-]+)["']""", page)
    assert copied
    assert set(copied) <= set(MODELS)
