"""What is allowed in a configuration, and yet hardly ever meant."""

from __future__ import annotations

import datetime
import os
from collections.abc import Collection, Mapping

from .builtin import as_served
from .certificate import dates, identities
from .endpoint import parse_endpoint
from .model import Config
from .problem import BadValue


def advice(config: Config, environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each oddity: what it leads to, and what would be right.

    `environ` says where the listeners' credentials are.
    """
    routes = as_served(config).routes
    found = [*_outdated(config, environ)]
    if config.hooks is None and any(route.hook_events for route in routes):
        found.append("hook_events is on, but no hook sees events; name a file in [hooks] module")
    if any(r.dedup_tool_results for r in routes) and not any(r.dedup for r in routes):
        found.append("dedup_tool_results does nothing where dedup is off; set dedup as well")
    for route in routes:
        base = route.upstream.url.base_path
        if not base or route.strip_prefix is not None:
            continue
        doubled = [
            p.text for p in route.patterns if p.text == base or p.text.startswith(f"{base}/")
        ]
        if doubled:
            found.append(
                f"[route {route.name}] path = {doubled[0]}: [upstream {route.upstream.name}] has "
                f"{base} in its url already, so that its API is asked for {base}{doubled[0]}; "
                f"leave {base} out of the url"
            )
    return found


def about_hooks(config: Config, hooks: Collection[str]) -> list[str]:
    """The same for the hooks that the module has, by their names: it has to be loaded for that."""
    shown = any(route.hook_events for route in as_served(config).routes)
    if shown and "event" not in hooks:
        return [f"hook_events is on, but no hook sees events; {config.hooks} has no event(block)"]
    if "event" in hooks and not shown:
        return [
            f"{config.hooks} has the hook event, which no route shows anything to; "
            "set hook_events = on there or in [defaults]"
        ]
    return []


def _outdated(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Certificates whose time has not come or has passed."""
    now = datetime.datetime.now(datetime.UTC)
    found = []
    for text in config.gateway.listen:
        try:
            shown = identities(parse_endpoint(text), environ)
        except BadValue:
            continue  # a problem, which is told as one
        for identity in shown:
            if sentence := dates(identity, now):
                found.append(f"[gateway] listen = {text}: {sentence}")
    return found
