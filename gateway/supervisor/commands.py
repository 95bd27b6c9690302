"""What supervisor and worker say to each other: AMP over a pair of sockets.

To the worker: `Serve`, `Drain`, `Stop`, `Hurry`, `Report`, `Kill`.  To the supervisor: `Ready`,
`Failed`, `Beat`, `Leaving`, `Goodbye`.  The worker is ready once, and serves when it is told to; it
beats from before it is ready to its end.

AMP's values end at 65,535 bytes; what may be longer goes in pages.
"""

# ruff: noqa: RUF012 - lists are what Twisted wants, and it copies them.

from __future__ import annotations

from typing import Final

from twisted.protocols.amp import Boolean, Command, Integer, String, Unicode

#: Bytes of a page.
PAGE: Final = 60_000
#: Characters of a sentence, of up to four bytes each.
SENTENCE: Final = 15_000


class UnknownReport(Exception):
    """There is no such kind of report, or no such page."""


# To the worker.


class Serve(Command):
    """Accept connections; answered when that has begun."""


class Drain(Command):
    """Accept no more, serve what is held, then end: a newer generation serves."""


class Stop(Command):
    """End as the whole gateway does."""


class Hurry(Command):
    """Wait no longer: for streams to end, or, said again, for clients to take their last words."""


class Report(Command):
    """A page of a report, which is JSON.  The first one makes the report, the others continue it.

    To be asked for one report at a time.
    """

    arguments = [(b"kind", Unicode()), (b"page", Integer())]
    response = [(b"content", String()), (b"pages", Integer())]
    errors = {UnknownReport: b"UNKNOWN_REPORT"}


class Kill(Command):
    """End a stream; whether this worker has it."""

    arguments = [(b"stream", Unicode())]
    response = [(b"killed", Boolean())]


# To the supervisor.


class Ready(Command):
    """All is there to serve."""


class Failed(Command):
    """It cannot start; the sentence says why and what would be right."""

    arguments = [(b"sentence", Unicode())]


class Beat(Command):
    """The reactor runs; so many streams and connections are open."""

    arguments = [(b"streams", Integer()), (b"connections", Integer())]
    requiresAnswer = False  # noqa: N815


class Leaving(Command):
    """It was told by a signal to end, and accepts no more."""


class Goodbye(Command):
    """A page of its last report of metrics; nothing but the end of the process follows the last."""

    arguments = [(b"page", Integer()), (b"pages", Integer()), (b"content", String())]


def pages(content: bytes) -> list[bytes]:
    """At least one page."""
    return [content[at : at + PAGE] for at in range(0, len(content), PAGE)] or [b""]
