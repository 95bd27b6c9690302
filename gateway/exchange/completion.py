"""What follows the end of an exchange: one Deferred carries its record from link to link.

A link is a named function of the record; it may return a Deferred, which the next link waits for,
and a record, which takes the place of the one that it got: this is how a cost comes to be known.
A link that fails is logged with its cause, and the next one still gets the record: accounting never
reaches the stream, and one kind of accounting never reaches another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..journal.kinds import Kind
from ..record import Record

Link = tuple[str, Callable[[Record], object]]

_log = Logger(namespace="gateway.completion")


def completion_chain(links: Sequence[Link]) -> Deferred[Record]:
    """A Deferred to be called once with a record; it goes through `links` in their order."""
    chain: Deferred[Record] = Deferred()
    for name, function in links:
        chain.addCallback(_call, name, function)
    return chain


def _call(record: Record, name: str, function: Callable[[Record], object]) -> Deferred[Record]:
    def failed(failure: Failure) -> None:
        _log.failure(
            "request {id}: the completion step {step} failed; the others go on",
            failure,
            id=record.intent.id,
            step=name,
            kind=Kind.INTERNAL_ERROR,
        )

    def carried_on(result: object) -> Record:
        return result if isinstance(result, Record) else record

    return maybeDeferred(function, record).addErrback(failed).addCallback(carried_on)
