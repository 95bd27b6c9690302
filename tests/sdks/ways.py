"""The ways in which ``client.py`` and ``node/client.mjs`` ask, and what each is to hear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.sdks.client import WAYS
from tests.sdks.streams import (
    CHAT,
    COMPLETIONS,
    GEMINI,
    IMAGES,
    MESSAGES,
    RESPONSES,
    TRANSCRIPTION,
    Endpoint,
)

_ENDPOINTS: Final = {
    "chat": CHAT,
    "completions": COMPLETIONS,
    "responses": RESPONSES,
    "images": IMAGES,
    "transcription": TRANSCRIPTION,
    "messages": MESSAGES,
    "gemini": GEMINI,
}
_SDKS: Final = {"openai": "openai", "anthropic": "anthropic", "gemini": "google-genai"}

#: Those of ``node/client.mjs``.
_NODE: Final = (
    "chat",
    "chat_raw",
    "chat_helper",
    "chat_helper_listened",
    "chat_helper_tools",
    "completions_raw",
    "responses",
    "responses_raw",
    "responses_helper",
    "responses_helper_listened",
    "images_raw",
    "transcription_raw",
    "messages",
    "messages_raw",
    "messages_helper",
    "messages_helper_listened",
    "messages_helper_tools",
    "gemini",
    "gemini_raw",
    "gemini_helper",
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way of asking: an endpoint, raw or helped or without a stream, blocking or not."""

    name: str
    in_node: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """What is asked."""
        return _ENDPOINTS[self.name.partition("_")[0]]

    @property
    def family(self) -> str:
        """Of the endpoint."""
        return self.endpoint.family

    @property
    def sdk(self) -> str:
        """The package that asks."""
        return _SDKS[self.family]

    @property
    def stream(self) -> bool:
        """Whether it asks for a stream."""
        return "_raw" in self.name or self.helped

    @property
    def reads_ids(self) -> bool:
        """Whether the SDK reads events that have an ``id``: Google's do not."""
        return self.family != "gemini"

    @property
    def helped(self) -> bool:
        """Whether the SDK puts the stream's events together."""
        return "_helper" in self.name


_IN_PYTHON: Final = tuple(map(Way, WAYS))
_IN_NODE: Final = tuple(Way(name, in_node=True) for name in _NODE)


def ways(release: str) -> tuple[Way, ...]:
    """All in which a release can ask."""
    return _IN_NODE if release == "node" else _IN_PYTHON


def streams(release: str) -> tuple[Way, ...]:
    """Those that ask for a stream."""
    return tuple(way for way in ways(release) if way.stream)


def in_demo(release: str) -> tuple[Way, ...]:
    """Those that say how long the answer may be, which the simulated provider heeds."""
    limited = (CHAT, MESSAGES, RESPONSES, GEMINI) if release == "node" else (CHAT, MESSAGES)
    # What runs tools raises where an answer has been as long as it may be.
    return tuple(
        way for way in ways(release) if way.endpoint in limited and way.name != "chat_helper_tools"
    )
