"""How far an exchange has come, for those who look at it from outside while it runs."""

from __future__ import annotations

from msgspec import Struct

from ..record import Phase
from .settled import Course


class Glance(Struct, frozen=True):
    """What an exchange knows of itself at a moment.  Made when somebody asks, never per event."""

    phase: Phase
    model: str | None  #: that was asked for
    request_bytes: int  #: that have come
    course: Course
    client_left: bool  #: and the answer is read on behind it
