"""What the gateway does without a file, and the simulated provider's place in any configuration."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from .build import prefix_route
from .model import Config, Family, Upstream, Url
from .tables import DEMO

#: Read by the same layers as a file, so that there is one way to a configuration.
TEXT = """\
[gateway]
demo = on

[upstream openai]
url = https://api.openai.com
dialect = openai

[upstream anthropic]
url = https://api.anthropic.com
dialect = anthropic

[upstream gemini]
url = https://generativelanguage.googleapis.com
dialect = gemini

[route messages]
path = /v1/messages/*
upstream = anthropic

# The APIs take files of 512 MB and batches of 256 MB.
[route batches]
path = /v1/messages/batches/*
upstream = anthropic
max_body = 512MiB

[route openai]
path =
    /v1/chat/completions/*
    /v1/completions/*
    /v1/responses/*
    /v1/embeddings/*
upstream = openai

[route uploads]
path =
    /v1/files/*
    /v1/uploads/*
    /v1/audio/*
upstream = openai
max_body = 512MiB

[route anthropic-files]
path = /v1/files/*
header = anthropic-version
upstream = anthropic
max_body = 512MiB

# Images are silent until they are whole, for longer than many clients wait.
[route images]
path = /v1/images/*
upstream = openai
keepalive = immediate

[route image-uploads]
path = /v1/images/edits/* /v1/images/variations/*
upstream = openai
keepalive = immediate
max_body = 512MiB

[route models]
path = /v1/models/*
upstream = openai

[route anthropic-models]
path = /v1/models/*
header = anthropic-version
upstream = anthropic

[route gemini]
path = /v1beta/* /v1/models/*:*
upstream = gemini
"""

#: The simulated provider thinks for seconds, not minutes: keepalives have to be seen within them,
#: and so has what ends a stream that stays silent.
_DEMO_POLICY = {
    "keepalive_after": 2.0,
    "keepalive_interval": 2.0,
    "first_event_timeout": 20.0,
    "idle_timeout": 20.0,
}


def with_demo(config: Config, port: int) -> Config:
    """`config` with the simulated provider, listening on loopback at `port`, under ``/demo``.

    Its route follows ``[defaults]``.  Unless these say otherwise, keepalives come after 2 s and a
    silence of 20 s ends a stream.
    """
    demo = Upstream(DEMO, Url("http", "127.0.0.1", port, ""), Family.GENERIC)
    return replace(
        config,
        upstreams=MappingProxyType({**config.upstreams, demo.name: demo}),
        routes=(*config.routes, prefix_route(demo, {**_DEMO_POLICY, **config.defaults})),
    )


def as_served(config: Config) -> Config:
    """`config` with the simulated provider, if it is on, for who looks at it and asks nobody."""
    on = config.gateway.demo and DEMO not in config.upstreams
    return with_demo(config, 0) if on else config
