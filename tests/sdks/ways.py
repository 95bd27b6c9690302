"""The ways in which ``client.py`` asks, and what each is to hear."""

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


@dataclass(frozen=True, slots=True)
class Way:
    """A way of asking: an endpoint, raw or helped or without a stream, blocking or not."""

    name: str

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

    def meets(self, situation: str) -> bool:
        """Whether there is anything to be shown: Google's SDK fails at any ``id`` line."""
        return self.family != "gemini" or situation != "keepalives after an id"

    @property
    def helped(self) -> bool:
        """Whether the SDK puts the stream's events together."""
        return "_helper" in self.name


ALL: Final = tuple(map(Way, WAYS))
STREAMS: Final = tuple(way for way in ALL if way.stream)
#: The simulated provider speaks these.
IN_DEMO: Final = tuple(way for way in ALL if way.endpoint in (CHAT, MESSAGES))
