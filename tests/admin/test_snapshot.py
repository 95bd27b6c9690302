"""What a process that serves can tell of its parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from gateway import journal, log_destination
from gateway.admin import snapshot as module
from gateway.admin.families import FAMILIES
from gateway.config.model import LogFormat
from gateway.dedup import Dedup
from gateway.hooks.calls import SLOW, Hooks
from gateway.hooks.loader import NAMES, HookModule
from gateway.service import GatewayService
from tests.world import World


def told(part: str, hooks: Hooks | None = None, dedup: Dedup | None = None) -> dict[Any, Any]:
    """What one part of the snapshot says, by names and labels, which all have to be known."""
    assembly = SimpleNamespace(hooks=hooks, dedup=dedup)
    service = cast(GatewayService, SimpleNamespace(assembly=assembly))
    found = {}
    for name, labels, value in getattr(module, part)(service):
        assert len(labels) == len(FAMILIES[name].labels)
        found[name, *labels] = value
    assert getattr(module, part) in module._PARTS
    return found


def test_what_hooks_do_wrong_is_told_by_hook() -> None:
    """One that returns what it may not, and one that blocks."""
    moments = iter((0.0, 0.0, 1.0, 1.0 + SLOW))
    hooks = Hooks(HookModule(event=lambda _: 5), Clock(), lambda: next(moments))
    hooks.watch("id", b"")
    hooks.call("settled", lambda _: None, b"", "id")
    found = told("_hooks", hooks)
    failures = {name: found["gateway_hook_failures", name] for name in NAMES}
    assert failures == {"request": 0, "response": 0, "event": 1, "settled": 0}
    slow = {name: found["gateway_hook_slow_calls", name] for name in NAMES}
    assert slow == {"request": 0, "response": 0, "event": 0, "settled": 1}


def test_without_hooks_nothing_is_told_of_them() -> None:
    assert told("_hooks") == {}


def test_the_memory_of_answers_in_common_is_told() -> None:
    dedup = Dedup(World().services, 1 << 20)
    assert told("_dedup", dedup=dedup) == {("gateway_dedup_memory_bytes",): 0}
    dedup._store.begin(b"key", "id")
    assert told("_dedup", dedup=dedup) == {("gateway_dedup_memory_bytes",): dedup.used}
    assert dedup.used > 0


def test_ports_that_are_not_read_are_told() -> None:
    """O8: new connections wait in the kernel then, and none of the other metrics shows it."""
    world = World(files=128, idle_timeout=None)
    assembly = SimpleNamespace(sites=[world.site], budget=world.budget)
    asked = SimpleNamespace(assembly=assembly, descriptors=world.descriptors)

    def paused() -> object:
        found = {name: value for name, _, value in module._connections(cast(Any, asked))}
        return found["gateway_accepting_paused"]

    assert paused() == 0
    clients = [world.client() for _ in range(16)]  # a quarter of what there is for connections
    assert paused() == 1
    clients[0].wire.lose()
    assert paused() == 0


def test_lost_log_records_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """O6: of whatever writes the process's log, in a worker, too."""
    monkeypatch.setattr(log_destination, "_writing", None)
    assert told("_log") == {("gateway_log_records_dropped",): 0}
    with open("/dev/full", "w") as full:
        log_destination.note(journal.observer(LogFormat.TEXT, full))(
            {"log_format": "a", "log_time": 0.0}
        )
    assert told("_log") == {("gateway_log_records_dropped",): 1}
