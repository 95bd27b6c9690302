"""Why there is no admin listener."""

from __future__ import annotations


class AdminError(Exception):
    """The one that the configuration asks for cannot be had; the text says why."""
