"""The line that ``systemctl status`` shows of a gateway with workers."""

from __future__ import annotations

from collections.abc import Mapping

from .generation import Generation, Stage
from .generations import Generations


def status(generations: Generations, streams: Mapping[Generation, int]) -> str:
    """One line about all generations."""
    serving = generations.serving
    old = sum(streams.get(generation, 0) for generation in generations.old)
    if generations.stopping:
        left = len(generations.members())
        return f"stopping: {_counted(left, 'worker')}, {_counted(sum(streams.values()), 'stream')}"
    if serving is None:
        return "starting"
    alive = sum(member.stage is Stage.SERVING for member in serving.members)
    text = f"generation {serving.number} serves: "
    if alive < serving.plan.workers:
        text += f"{alive} of "
    text += f"{_counted(serving.plan.workers, 'worker')}, "
    text += _counted(streams.get(serving, 0), "stream")
    if generations.reloading:
        text += "; reloading"
    if generations.draining:
        text += f"; {generations.draining} older draining: {_counted(old, 'stream')}"
    if generations.reload_waits:
        text += "; a reload waits"
    return text


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
