"""A simulated LLM provider, so that a newcomer sees a stream without a key or a network.

It is reached over loopback only, by the gateway itself, as an upstream like any other: what a
client gets from ``/demo`` went the way of every request.  `models` says which models there are and
how each behaves, `openai` and `anthropic` how an answer looks on the wire, `site` puts all of it
behind HTTP.  A new misbehaviour is an entry of `models.MODELS`; a new dialect is a class with the
methods of `dialect.Dialect` and an entry of `site.ENDPOINTS`.

Nothing of a prompt is repeated, kept or logged; of its text only the length is used.
"""

from .site import demo_site

__all__ = ["demo_site"]
