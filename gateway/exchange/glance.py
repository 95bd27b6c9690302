"""How far an exchange has come, for those who look at it from outside while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from ..record import Phase
from .settled import Course


@dataclass(frozen=True, slots=True)
class Glance:
    """What an exchange knows of itself at a moment.  Made when somebody asks, never per event."""

    phase: Phase
    model: str | None  #: that was asked for
    request_bytes: int  #: that have come
    course: Course
    client_left: bool  #: and the answer is read on behind it
