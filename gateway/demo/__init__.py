"""A simulated LLM provider, so that a newcomer sees a stream without a key or a network, and every
way in which one can end.

It is reached over loopback only, by the gateway itself, as an upstream like any other: what a
client gets from ``/demo`` went the way of every request.

In the order of a request: `endpoints` says which path speaks which dialect.  The dialect's module
(`openai_chat`, `openai_responses`, `openai_media`, `anthropic`, `gemini`, `ollama`) reads the
request into an `answers.Prompt` and says how the answer looks.  `models` says which models there
are, and `script` what goes wrong with each; `performance` does it on the wire, and `site` puts all
of it behind HTTP.
A new misbehaviour is a row of `models.MODELS`, a new dialect a class with the methods of
`dialect.Dialect` and a row in `endpoints`.

Nothing of a prompt is repeated, kept or logged; of its text only the length is used.
"""

from .site import demo_site

__all__ = ["demo_site"]
