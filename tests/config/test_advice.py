"""What is allowed, and yet hardly ever meant, is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.advice import about_hooks, advice

from .conftest import Read

UPSTREAM = "[upstream a]\nurl = https://a.test{}\ndialect = openai\n"


@pytest.mark.parametrize(
    ("base", "path", "more", "told"),
    [
        ("/v1", "/v1/*", "", True),
        ("/v1", "/v1/models", "", True),
        ("/v1", "/v1/*", "strip_prefix = /v1", False),
        ("/v1", "/v10/*", "", False),
        ("", "/v1/*", "", False),
        ("/base", "/v1/*", "", False),
    ],
)
def test_a_path_that_would_be_asked_for_twice_over_is_told(
    read: Read, base: str, path: str, more: str, told: bool
) -> None:
    """O1: base URLs of SDKs end in /v1, and so do those that people write here."""
    config = read(f"{UPSTREAM.format(base)}[route r]\nupstream = a\npath = {path}\n{more}\n")
    sentences = advice(config)
    assert bool(sentences) is told
    if told:
        assert "leave /v1 out of the url" in sentences[0]


@pytest.mark.parametrize("switch", ["on", "off"])
def test_events_that_no_hook_can_see_are_told(read: Read, switch: str) -> None:
    """O1, D11: the switch alone does nothing."""
    route = f"[route r]\nupstream = a\npath = /*\nhook_events = {switch}\n"
    sentences = advice(read(f"{UPSTREAM.format('')}{route}"))
    assert [("[hooks] module" in sentence) for sentence in sentences] == [True] * (switch == "on")


@pytest.mark.parametrize("served", [f"{UPSTREAM.format('')}", "[gateway]\ndemo = on\n"])
@pytest.mark.parametrize(
    ("switch", "hooks", "told"),
    [
        ("on", ["event"], []),
        ("off", ["request"], []),
        ("on", ["request"], ["hook_events is on, but no hook sees events; HOOKS has no event"]),
        ("off", ["event"], ["HOOKS has the hook event, which no route shows anything to; set"]),
    ],
)
def test_a_switch_and_a_hook_that_go_together_are_told_if_one_is_missing(
    read: Read, tmp_path: Path, served: str, switch: str, hooks: list[str], told: list[str]
) -> None:
    """O1, D11: the simulated provider's route counts, too."""
    module = tmp_path / "hooks.py"
    module.touch()
    text = f"{served}[defaults]\nhook_events = {switch}\n[hooks]\nmodule = {module}\n"
    found = about_hooks(read(text), hooks)
    assert len(found) == len(told)
    for sentence, beginning in zip(found, told, strict=True):
        assert sentence.startswith(beginning.replace("HOOKS", str(module)))


@pytest.mark.parametrize(("dedup", "told"), [("off", True), ("1s", False)])
def test_a_lifetime_of_answers_that_are_not_kept_is_told(
    read: Read, dedup: str, told: bool
) -> None:
    """O1, C3: the longer lifetime alone has no answers in common."""
    route = f"[route r]\nupstream = a\npath = /*\ndedup = {dedup}\ndedup_tool_results = 10m\n"
    sentences = advice(read(f"{UPSTREAM.format('')}{route}"))
    assert [("set dedup" in sentence) for sentence in sentences] == [True] * told
