"""The proxies that are compared.

All of them pass on everything as it comes (no buffering), keep connections to the upstream, write
no access log and use one core, each set as its documentation advises for streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .gateway import Setting, gateway
from .peers.node import PORTKEY
from .peers.python import LITELLM, MITMPROXY, ROSETTA, STARLETTE
from .peers.servers import CADDY, GO, HAPROXY, NGINX
from .proxy import Proxy


def proxies(setting: Setting) -> Mapping[str, Proxy]:
    """The proxies by name, the gateway run as `setting` says."""
    return {
        proxy.name: proxy
        for proxy in (
            NGINX,
            HAPROXY,
            GO,
            CADDY,
            gateway("gateway", setting),
            STARLETTE,
            MITMPROXY,
            LITELLM,
            PORTKEY,
            ROSETTA,
            gateway("gateway-1", replace(setting, workers=1), saturated=True),
            gateway("gateway-2", replace(setting, workers=2), saturated=True),
        )
    }
