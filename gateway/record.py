"""The vocabulary of an exchange: what was asked, how it ended, what it used.

Everything that tells somebody about a request (the ledger, the log, ``gatewayctl``, JSON output)
speaks in these terms, and only in these.  `Intent` is what is known before the upstream is asked;
`Record` is the whole story and is made once, when the exchange settles.  Both are immutable.

This module knows nothing of sockets, of SQL or of any dialect, and imports nothing of the gateway.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

#: A value that a row may hold.
Value = str | int | float | bool | None


class Outcome(StrEnum):
    """How an exchange ended; exactly one for each."""

    FINISHED = "finished"
    CLIENT_GONE = "client_gone"
    UPSTREAM_FAILED = "upstream_failed"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    DRAINED = "drained"
    KILLED = "killed"
    INTERNAL_ERROR = "internal_error"
    REPLAYED = "replayed"


class Phase(StrEnum):
    """Where an exchange stands, in the order in which it passes them."""

    REQUEST = "request"
    CONNECT = "connect"
    HEAD = "head"
    FIRST_EVENT = "first_event"
    RELAY = "relay"
    DONE = "done"


class ErrorCode(StrEnum):
    """Why an exchange did not end well: a closed list, so that dashboards can rely on it."""

    CONNECT_REFUSED = "connect_refused"
    CONNECT_FAILED = "connect_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    DNS = "dns"
    TLS = "tls"
    RESET = "reset"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    NO_TERMINAL_EVENT = "no_terminal_event"
    NOT_SSE = "not_sse"
    HTTP_ERROR = "http_error"
    PROVIDER_ERROR_EVENT = "provider_error_event"
    HEAD_TIMEOUT = "head_timeout"
    FIRST_EVENT_TIMEOUT = "first_event_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    CLIENT_WRITE_TIMEOUT = "client_write_timeout"
    BODY_TOO_LARGE = "body_too_large"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    OVERLOADED = "overloaded"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    OPERATOR = "operator"
    HOOK = "hook"
    BUG = "bug"


class UsageSource(StrEnum):
    """Where the token counts of a row come from."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    NONE = "none"


class Usage(Struct, frozen=True):
    """Token counts in one meaning for every dialect.  None is "not told"; 0 is "told to be none".

    `input_tokens` is the whole input, tokens read from and written to a cache included;
    `output_tokens` is the whole output, reasoning included.
    """

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


class Intent(Struct, frozen=True):
    """What is known of a request before its upstream is asked: the ledger's opening entry."""

    id: str
    started_at: float  #: seconds since the epoch
    instance: str
    route: str
    upstream: str
    dialect: str
    method: str
    path: str  #: without the query string, which can carry credentials
    model_requested: str | None
    stream: bool
    tenant: str | None
    session: str | None
    client: str
    user_agent: str | None
    request_bytes: int
    #: The request whose answer this one is given, too: replayed, or joined while it was under way.
    answer_of: str | None = None


class Record(Struct, frozen=True):
    """A settled exchange: its intent and how it went.  Times in milliseconds from its start."""

    intent: Intent
    ended_at: float  #: seconds since the epoch
    outcome: Outcome
    phase: Phase | None
    error: ErrorCode | None = None
    error_detail: str | None = None
    status_upstream: int | None = None
    status_sent: int | None = None
    model_served: str | None = None
    stop_reason: str | None = None
    upstream_request_id: str | None = None
    attempts: int | None = None
    connect_ms: float | None = None
    head_ms: float | None = None
    first_event_ms: float | None = None
    duration_ms: float | None = None
    paused_ms: float | None = None
    response_bytes: int | None = None
    events: int | None = None
    keepalives: int | None = None
    usage: Usage = Usage()
    usage_source: UsageSource = UsageSource.NONE
    usage_raw: str | None = None
    cost_usd: float | None = None
    price_snapshot: str | None = None
    #: The provider's own id of its answer, where the same answer can be asked for again by it.
    response_id: str | None = None
    #: The answer repeats one that another request began: it counts only if no other row counts it.
    replay: bool = False
    #: What an operator's hook says of the request: a JSON object of texts.
    tags: str | None = None

    def as_row(self) -> dict[str, Value]:
        """The record as the columns of `COLUMNS`: the shape of a row, of JSON and of log fields."""
        flat: dict[str, Value] = {}
        for source in (self.intent, self, self.usage):
            flat.update(asdict(source))
        flat["started_at"] = timestamp(self.intent.started_at)
        flat["ended_at"] = timestamp(self.ended_at)
        return {name: flat[name] for name in COLUMNS}


#: Every column of a row, in the order in which people are shown them.
COLUMNS: tuple[str, ...] = (
    "id", "started_at", "ended_at", "instance", "route", "upstream", "dialect", "method", "path",
    "model_requested", "model_served", "stream", "tenant", "session", "client", "user_agent",
    "status_upstream", "status_sent", "outcome", "phase", "error", "error_detail", "stop_reason",
    "upstream_request_id", "attempts", "connect_ms", "head_ms", "first_event_ms", "duration_ms",
    "paused_ms", "request_bytes", "response_bytes", "events", "keepalives", "input_tokens",
    "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "usage_source", "usage_raw", "cost_usd", "price_snapshot",
    "answer_of", "tags",
)  # fmt: skip

#: The columns that an `Intent` fills.
INTENT_COLUMNS: tuple[str, ...] = Intent.__struct_fields__


def intent_row(intent: Intent) -> Mapping[str, Value]:
    """An intent as columns: the first half of what `Record.as_row` will say."""
    row: dict[str, Value] = {name: getattr(intent, name) for name in INTENT_COLUMNS}
    row["started_at"] = timestamp(intent.started_at)
    return row


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, with microseconds: text that sorts as time.

    Raises ValueError, OverflowError or OSError on times that no calendar has.
    """
    whole = int(seconds)
    microseconds = round((seconds - whole) * 1_000_000)
    if not 0 <= microseconds < 1_000_000:  # before 1970, or rounded up to the next second
        whole, microseconds = whole + microseconds // 1_000_000, microseconds % 1_000_000
    return f"{_second(whole)}.{microseconds:06d}Z"


@functools.lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    """A whole second; the times that are written follow each other, many in one second."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()[:19]


def new_id() -> str:
    """A fresh UUIDv7 (RFC 9562, section 5.7): rows sort by the time at which they were opened.

    Its random bits are the kernel's and used for no other id; may be called in any thread.
    """
    now = "%012x" % (time.time_ns() // 1_000_000 & (1 << 48) - 1)
    try:
        random = _unused.pop()
    except IndexError:
        random = _fresh_random()
    # Version 7 and 12 random bits, then variant 2 and 62 random bits.
    variant = _VARIANT_2[random[3]]
    return f"{now[:8]}-{now[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"


#: For how many ids the kernel is asked for random bytes at once: a call costs as much as an id.
_BATCH: Final = 50
#: A hexadecimal digit by its last two bits, with the variant's before them.
_VARIANT_2: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

#: Digits of ids that are to come.  A child would give out the same ones as its parent.
_unused: Final[list[str]] = []
os.register_at_fork(after_in_child=_unused.clear)


def _fresh_random() -> str:
    """20 random digits for an id; those for the next ids are put by."""
    digits = os.urandom(10 * _BATCH).hex()
    one, *others = [digits[at : at + 20] for at in range(0, len(digits), 20)]
    _unused.extend(others)
    return one


def derived_id(*names: str) -> str:
    """A UUIDv8 (RFC 9562, section 5.8) that follows from `names`: the same each time, everywhere.

    For what may be told of again and must have one row.  Its bits are those of a SHA-256, so it
    says nothing of time: rows that need an order have their ``started_at``.
    """
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    value = int.from_bytes(digest[:16])
    value = value & ~(0xF << 76) | 0x8 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return _grouped(f"{value:032x}")


def _grouped(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
