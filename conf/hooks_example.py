"""Hooks for the gateway, as an example: copy it, change it, and name it in ``[hooks] module``.

A header for one upstream, and a webhook for requests that cost more than a dollar.  docs/hooks.rst
says what a hook may and may not do.
"""

from __future__ import annotations

import os

import treq

from gateway.hooks import RequestHead, Row

#: The upstream that is told who asks, by its name in the configuration.
UPSTREAM = "vllm"

#: Where costly requests are told of, and from how many US dollars on.
WEBHOOK = os.environ.get("COST_WEBHOOK")
DOLLARS = 1.0


def request(head: RequestHead) -> None:
    """Tell one upstream which tenant asks, and the row that it was told."""
    if head.upstream == UPSTREAM:
        head.headers.set("X-Tenant", head.tenant or "unknown")
        head.tag("tenant_told", "yes")


async def settled(row: Row) -> None:
    """Tell a webhook of a costly request: once, within ten seconds; a failure is logged."""
    cost = row["cost_usd"]
    if WEBHOOK is None or not isinstance(cost, float) or cost <= DOLLARS:
        return
    told = {name: row[name] for name in ("id", "tenant", "route", "model_served", "cost_usd")}
    answer = await treq.post(
        WEBHOOK, json=told, timeout=10, allow_redirects=False, persistent=False
    )
    await treq.collect(answer, lambda _: None)
    if answer.code >= 300:
        raise RuntimeError(f"the webhook answered {answer.code}")
