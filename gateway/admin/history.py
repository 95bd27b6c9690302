"""The ledger, asked over HTTP: the questions and answers of ``gatewayctl``, within bounds.

A question is the query of a URL, with the names of ``gatewayctl``'s options; it is read by the same
parser.  It is answered in a thread, one at a time, within `SECONDS` and with at most `MOST` rows:
whoever wants more asks the ledger itself.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThread

from ..config import Config
from ..ctl.arguments import (
    UsageError,
    add_filters,
    add_times,
    check_names,
    count,
    filter_of,
    zone_of,
)
from ..ctl.place import reading
from ..ctl.requests import LAST
from ..ctl.usage import BY, UsageReport
from ..ledger import LedgerError, queries
from ..ledger.reading import Reader
from ..record import Value

#: Rows of an answer.
MOST: Final = 1000
#: Seconds that a question may take.
SECONDS: Final = 10.0
#: Questions that may wait, besides the one that is being answered.
WAITING: Final = 8
#: Rows that are looked at one by one for an answer.
_LOOKED_AT: Final = 100_000

Row = dict[str, Value]
#: What runs a function in a thread, as `deferToThread` does.
InThread = Callable[..., Deferred[Any]]


class BadQuestion(Exception):
    """The query means nothing; the text says which part."""


class Busy(Exception):
    """Too many questions wait; the text says so."""


class History:
    """See the module's text."""

    def __init__(
        self, config: Config, in_thread: InThread = deferToThread, seconds: float = SECONDS
    ) -> None:
        self._config = config
        self._in_thread = in_thread
        self._seconds = seconds
        self._one = DeferredSemaphore(1)

    async def requests(self, query: bytes) -> dict[str, Any]:
        """``{"requests": […], "truncated": …}``: rows as ``gatewayctl requests --json`` has them.

        Raises `BadQuestion`, `Busy`, and `LedgerError`.
        """
        return await self._ask(_parsed(_requests_parser(), query), self._requests)

    async def usage(self, query: bytes) -> dict[str, Any]:
        """``{"usage": […], "truncated": …}``: rows as ``gatewayctl usage --json`` has them.

        Raises `BadQuestion`, `Busy`, and `LedgerError`.
        """
        return await self._ask(_parsed(_usage_parser(), query), self._usage)

    async def _ask(
        self,
        arguments: argparse.Namespace,
        answer: Callable[[Reader, argparse.Namespace], dict[str, Any]],
    ) -> dict[str, Any]:
        if len(self._one.waiting) >= WAITING:
            raise Busy(f"{WAITING} questions to the ledger wait already, ask again later")
        done: dict[str, Any] = await self._one.run(self._in_thread, self._answer, arguments, answer)
        return done

    # In the thread.

    def _answer(
        self,
        arguments: argparse.Namespace,
        answer: Callable[[Reader, argparse.Namespace], dict[str, Any]],
    ) -> dict[str, Any]:
        with reading(self._config, self._seconds) as reader:
            bounded = _Bounded(reader, time.monotonic() + self._seconds)
            try:
                check_names(bounded, self._config, arguments)
                return answer(bounded, arguments)
            except UsageError as error:
                raise BadQuestion(_told(str(error))) from None

    def _requests(self, reader: Reader, arguments: argparse.Namespace) -> dict[str, Any]:
        last: int | None = arguments.last
        if last is None and arguments.since is None and arguments.until is None:
            last = LAST
        # One more than may be told, to know whether there are more than these.
        rows = list(queries.requests(reader, filter_of(arguments), last or MOST + 1))
        return {"requests": rows[-MOST:], "truncated": len(rows) > MOST}

    def _usage(self, reader: Reader, arguments: argparse.Namespace) -> dict[str, Any]:
        which, report = filter_of(arguments), UsageReport(reader, self._config)
        if arguments.by == "day":
            rows = list(report.by_day(which, zone_of(arguments)))
        else:
            rows = list(report.of(arguments.by, which))
        return {"usage": rows[:MOST], "truncated": len(rows) > MOST}


class _Bounded:
    """A `Reader` whose rows come within a time and are not too many.

    Between rows other threads may go on: else the reactor would wait for the interpreter's lock.
    """

    def __init__(self, reader: Reader, deadline: float) -> None:
        self.place = reader.place
        self.newest = reader.newest
        self._reader = reader
        self._deadline = deadline

    def rows(self, statement: str, values: Sequence[str | int] = ()) -> Iterator[Row]:
        """See `Reader.rows`."""
        for number, row in enumerate(self._reader.rows(statement, values)):
            if number == _LOOKED_AT or time.monotonic() > self._deadline:
                raise LedgerError(
                    f"{self.place}: too many rows for one answer, ask for less (since, until), or "
                    "use gatewayctl"
                )
            yield row
            if not number % 20:
                time.sleep(0)


class _Parser(argparse.ArgumentParser):
    """Raises what the command line would print."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise BadQuestion(_told(message))


def _told(message: str) -> str:
    return message.replace("argument --", "").replace("--", "")


@functools.cache
def _requests_parser() -> _Parser:
    parser = _Parser()
    parser.add_argument("--last", type=_count)
    add_times(parser)
    add_filters(parser)
    return parser


@functools.cache
def _usage_parser() -> _Parser:
    parser = _Parser()
    parser.add_argument("--by", choices=BY, default="model")
    add_times(parser)
    add_filters(parser)
    return parser


def _count(text: str) -> int:
    number = count(text)
    if number > MOST:
        raise argparse.ArgumentTypeError(f"at most {MOST} rows are told here, use gatewayctl")
    return number


def _parsed(parser: _Parser, query: bytes) -> argparse.Namespace:
    """A query as the command line's options; raises `BadQuestion`."""
    known = sorted(set(vars(parser.parse_args([]))) - {"local"})
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise BadQuestion("the query cannot be read, write NAME=VALUE&NAME=VALUE") from None
    options = {}
    for name, value in pairs:
        if name not in known:
            raise BadQuestion(f"{name!r} cannot be asked for, there are: {', '.join(known)}")
        if name in options:
            raise BadQuestion(f"{name} stands there twice, write it once")
        options[name] = f"--{name}={value}"
    arguments = parser.parse_args(list(options.values()))
    try:
        filter_of(arguments)
    except UsageError as error:
        raise BadQuestion(_told(str(error))) from None
    return arguments
