"""Every metric there is: its name, what it counts, and by what it is told apart.

Names follow Prometheus' conventions: base units, ``_total`` behind counters (added where they are
written).  Labels have values out of the configuration or out of closed lists, but for ``model``,
which `gateway.admin.meter` bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

#: Upper ends of buckets, in seconds.  From what a local model takes to its first token up to half
#: an hour, after which a reasoning model's answer may yet come.
BUCKETS: Final = (
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0,
    1800.0,
)  # fmt: skip


class Kind(Enum):
    """What kind of metric it is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.  `of_worker`: told for each worker, never added up over them."""

    name: str
    kind: Kind
    doc: str
    labels: tuple[str, ...] = ()
    of_worker: bool = False

    @property
    def shown(self) -> str:
        """The name as Prometheus has it."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


_WHERE = ("route", "upstream")
_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

_ALL = (
    # Counted at the end of each request.
    Family(
        "gateway_requests",
        _C,
        "Requests that ended, by how they ended (the ledger's outcomes).",
        ("outcome", *_WHERE, "dialect"),
    ),
    Family(
        "gateway_request_errors",
        _C,
        "Requests that did not end well, by why (the ledger's error codes).",
        ("error", *_WHERE),
    ),
    Family(
        "gateway_time_to_head_seconds",
        _H,
        "Time from a request's start to the head of its upstream's answer.",
        _WHERE,
    ),
    Family(
        "gateway_time_to_first_event_seconds",
        _H,
        "Time from a request's start to the first event of its answer, or the first byte of an "
        "answer that is no stream.",
        _WHERE,
    ),
    Family(
        "gateway_request_duration_seconds",
        _H,
        "Time from a request's start to its end, of those that were sent to an upstream.",
        _WHERE,
    ),
    Family(
        "gateway_request_body_bytes",
        _C,
        "Bytes of requests' bodies that came from clients.",
        _WHERE,
    ),
    Family(
        "gateway_response_body_bytes",
        _C,
        "Bytes of answers' bodies that came from upstreams.",
        _WHERE,
    ),
    Family("gateway_events", _C, "Whole events of streams that were passed on.", _WHERE),
    Family("gateway_keepalives", _C, "Beats spoken into silent streams.", _WHERE),
    Family(
        "gateway_paused_requests",
        _C,
        "Requests whose upstream was not read for a time because the client did not read.",
        _WHERE,
    ),
    Family(
        "gateway_paused_seconds",
        _C,
        "How long upstreams were not read because clients did not read.",
        _WHERE,
    ),
    Family(
        "gateway_tokens",
        _C,
        "Tokens as providers report them. The kinds add up: input is what no cache had a part in, "
        "output is what is not known to be reasoning.",
        ("model", "kind"),
    ),
    Family(
        "gateway_cost_dollars", _C, "Cost of requests in US dollars, as far as known.", ("model",)
    ),
    # Read when somebody asks.
    Family("gateway_streams_open", _G, "Requests that run.", ("route", "phase")),
    Family(
        "gateway_streams_paused",
        _G,
        "Requests whose upstream is not read now because the client does not read.",
        ("route",),
    ),
    Family("gateway_client_connections", _G, "Clients' connections, by what they do.", ("state",)),
    Family(
        "gateway_upstream_connections",
        _G,
        "Connections to upstreams, by what they do.",
        ("upstream", "state"),
    ),
    Family(
        "gateway_connections_turned_away",
        _C,
        "Clients' connections closed as soon as they were accepted, because no more fit.",
    ),
    Family("gateway_descriptors_used", _G, "File descriptors that connections take.", (), True),
    Family(
        "gateway_descriptors_budget", _G, "File descriptors that connections may take.", (), True
    ),
    Family(
        "gateway_accepting_paused",
        _G,
        "Whether listening ports are not read because no further connection fits.",
        (),
        True,
    ),
    Family("gateway_body_memory_bytes", _G, "Bytes of request bodies that are held in memory."),
    Family("gateway_ledger_rows_queued", _G, "Rows that wait to be written to the ledger's file."),
    Family("gateway_ledger_rows_open", _G, "Rows of requests that have not ended."),
    Family(
        "gateway_ledger_lag_seconds",
        _G,
        "How long rows have waited since the ledger last wrote any.",
        (),
        True,
    ),
    Family("gateway_ledger_rows_written", _C, "Rows written to the ledger's file."),
    Family(
        "gateway_ledger_requests_refused",
        _C,
        "Requests refused because the ledger could not take their rows.",
    ),
    Family("gateway_ledger_rows_dropped", _C, "Settled rows that the ledger could not take."),
    Family(
        "gateway_ledger_rows_recovered",
        _C,
        "Rows that dead processes left open and that were settled as killed.",
    ),
    Family("gateway_shipper_rows_waiting", _G, "Rows that the database does not have yet."),
    Family("gateway_shipper_rows_shipped", _C, "Rows that the database has committed."),
    Family(
        "gateway_shipper_rows_refused", _C, "Rows that the database refused for what is in them."
    ),
    Family("gateway_shipper_connected", _G, "Whether the last attempt at the database went well."),
    Family("gateway_requests_priced", _C, "Requests whose cost is known."),
    Family(
        "gateway_requests_unpriced",
        _C,
        "Requests that told their usage and whose cost is not known.",
    ),
    Family(
        "gateway_prices_skipped",
        _C,
        "Requests that went on without a price because too many waited for theirs.",
    ),
    Family(
        "gateway_dedup_memory_bytes",
        _G,
        "Bytes of answers that are held for requests that are the same.",
    ),
    Family(
        "gateway_hook_failures",
        _C,
        "Calls of hooks that went wrong, or did not end in time.",
        ("hook",),
    ),
    Family(
        "gateway_hook_slow_calls",
        _C,
        "Calls of hooks that took so long that every stream stood still.",
        ("hook",),
    ),
    Family(
        "gateway_log_records_dropped",
        _C,
        "Log records that were lost because whoever reads the log did not keep up.",
    ),
    Family(
        "gateway_worker_start_time_seconds",
        _G,
        "When the process began, since the epoch.",
        (),
        True,
    ),
    Family("gateway_worker_resident_memory_bytes", _G, "Resident memory of the process.", (), True),
    Family(
        "gateway_worker_cpu_seconds",
        _C,
        "CPU time that the process has taken, user and system.",
        (),
        True,
    ),
    # Of the gateway as a whole.
    Family("gateway_workers", _G, "Processes that serve.", ("generation", "state")),
    Family("gateway_generation", _G, "The newest generation of workers."),
    Family("gateway_worker_restarts", _C, "Workers that died and were replaced."),
    Family("gateway_ready", _G, "Whether new connections are taken."),
    Family(
        "gateway_last_reload_successful",
        _G,
        "Whether the last reload was taken; there is none where none was asked for.",
    ),
    Family("gateway_build_info", _G, "Always 1; the labels tell what runs.", ("version",)),
)

#: By name.
FAMILIES: Final[Mapping[str, Family]] = {family.name: family for family in _ALL}
