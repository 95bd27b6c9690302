"""What is allowed in a configuration, and yet hardly ever meant."""

from __future__ import annotations

from .model import Config


def advice(config: Config) -> list[str]:
    """A sentence for each oddity: what it leads to, and what would be right."""
    found = []
    if config.hooks is None and any(route.hook_events for route in config.routes):
        found.append("hook_events is on, but no hook sees events; name a file in [hooks] module")
    for route in config.routes:
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
