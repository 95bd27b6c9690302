"""Why a listener cannot be had."""

from __future__ import annotations


class ListenError(Exception):
    """`text` is the endpoint string, `reason` what is wrong, `hint` what would be right."""

    def __init__(self, text: str, reason: str, hint: str) -> None:
        super().__init__(f"listen = {text}: {reason}; {hint}")
        self.text = text
        self.reason = reason
        self.hint = hint
