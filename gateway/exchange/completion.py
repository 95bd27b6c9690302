"""What follows the end of an exchange: one Deferred carries its record from link to link.

A link is a named function of the record; it may return a Deferred, which the next link waits for,
and a record, which takes the place of the one that it got: this is how a cost comes to be known.
Nearly always nothing has to be waited for: then all of it has happened when `complete` returns.
A link that fails is logged with its cause, and the next one still gets the record: accounting never
reaches the stream, and one kind of accounting never reaches another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..journal.kinds import Kind
from ..record import Record

Link = tuple[str, Callable[[Record], object]]

_log = Logger(namespace="gateway.completion")


def complete(record: Record, links: Iterable[Link]) -> Deferred[Record]:
    """Give the record to `links` in their order; the Deferred has what comes of it, or will."""
    chain: Deferred[Record] = Deferred()
    chain.addCallback(_pass_on, iter(links))
    chain.callback(record)
    return chain


def _pass_on(record: Record, links: Iterator[Link]) -> Record | Deferred[Record]:
    """Give the record to the links that are left, up to the first that has to be waited for."""
    for name, function in links:
        try:
            result = function(record)
        except Exception:
            result = Failure()
        if result is None:
            continue
        if isinstance(result, Record):
            record = result
            continue
        if isinstance(result, Deferred):
            return result.addBoth(_behind, record, name).addCallback(_pass_on, links)
        record = _behind(result, record, name)
    return record


def _behind(result: object, record: Record, name: str) -> Record:
    """What goes on to the next link, after a result of the link `name`, which got `record`."""
    if isinstance(result, Failure):
        _log.failure(
            "request {id}: the completion step {step} failed; the others go on",
            result,
            id=record.intent.id,
            step=name,
            kind=Kind.INTERNAL_ERROR,
        )
    return result if isinstance(result, Record) else record
