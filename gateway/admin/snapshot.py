"""Everything that a process that serves can count, at this moment.

Called when somebody asks, in the reactor's thread.  Nothing here waits, and nothing walks over more
than the requests that run.  A further part of the gateway that counts gets a function of its own in
`_PARTS`, and its names in `families`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .. import log_destination
from ..record import Phase
from .sums import Samples, Value

if TYPE_CHECKING:
    from ..service import GatewayService

#: A value: of which metric, with which labels.
_Sample = tuple[str, tuple[str, ...], Value]

_TOKEN_KINDS: Final = ("input", "cache_read", "cache_write", "output", "reasoning")
_RUNNING: Final = tuple(phase for phase in Phase if phase is not Phase.DONE)
#: The phases in which an exchange has a connection to its upstream.
_CONNECTED: Final = frozenset((Phase.HEAD, Phase.FIRST_EVENT, Phase.RELAY))


def snapshot(service: GatewayService) -> Samples:
    """Counters and gauges, by name; see `gateway.admin.sums`."""
    samples: Samples = {}
    for part in _PARTS:
        for name, labels, value in part(service):
            samples.setdefault(name, []).append((list(labels), value))
    return samples


def _requests(service: GatewayService) -> Iterator[_Sample]:
    """What the meter counted at the ends of requests."""
    assert service.assembly is not None
    meter = service.assembly.meter
    for where, place in meter.places.items():
        for (outcome, dialect), count in place.outcomes.items():
            yield "gateway_requests", (outcome, *where, dialect), count
        for error, count in place.errors.items():
            yield "gateway_request_errors", (error, *where), count
        yield "gateway_time_to_head_seconds", where, place.heads.told()
        yield "gateway_time_to_first_event_seconds", where, place.first_events.told()
        yield "gateway_request_duration_seconds", where, place.durations.told()
        yield "gateway_request_body_bytes", where, place.request_bytes
        yield "gateway_response_body_bytes", where, place.response_bytes
        yield "gateway_events", where, place.events
        yield "gateway_keepalives", where, place.keepalives
        yield "gateway_paused_requests", where, place.paused
        yield "gateway_paused_seconds", where, place.paused_ms / 1000
    for model, tokens in meter.tokens.items():
        for kind, number in zip(_TOKEN_KINDS, tokens, strict=True):
            yield "gateway_tokens", (model, kind), number
    for model, dollars in meter.dollars.items():
        yield "gateway_cost_dollars", (model,), dollars


def _streams(service: GatewayService) -> Iterator[_Sample]:
    """What runs now, and the connections that it takes to upstreams."""
    assembly = service.assembly
    assert assembly is not None
    phases: Counter[tuple[str, Phase]] = Counter()
    paused: Counter[str] = Counter()
    busy: Counter[str] = Counter()
    # There may be thousands: what is asked of each is little.
    for one in tuple(assembly.services.running):
        intent, phase = one.intent, one.phase
        phases[intent.route, phase] += 1
        paused[intent.route] += one.paused
        busy[intent.upstream] += phase in _CONNECTED
    for route in {where[0] for where in assembly.meter.places}.union(paused):
        for phase in _RUNNING:
            yield "gateway_streams_open", (route, phase.value), phases[route, phase]
        yield "gateway_streams_paused", (route,), paused[route]
    for upstream, pool in assembly.pools.items():
        yield "gateway_upstream_connections", (upstream, "idle"), pool.idle
        yield "gateway_upstream_connections", (upstream, "busy"), busy[upstream]


def _connections(service: GatewayService) -> Iterator[_Sample]:
    """Clients' connections, and what they take."""
    assembly = service.assembly
    assert assembly is not None
    sites = assembly.sites
    waiting = sum(len(site.kept_alive) for site in sites)
    everything = sum(len(site.open_channels) for site in sites)
    yield "gateway_client_connections", ("kept_alive",), waiting
    yield "gateway_client_connections", ("active",), everything - waiting
    yield "gateway_body_memory_bytes", (), assembly.budget.held
    if service.descriptors is not None:
        yield "gateway_connections_turned_away", (), service.descriptors.turned_away
        yield "gateway_descriptors_used", (), service.descriptors.used
        yield "gateway_descriptors_budget", (), service.descriptors.room
        yield "gateway_accepting_paused", (), int(service.descriptors.paused)


def _ledger(service: GatewayService) -> Iterator[_Sample]:
    """Rows on their way, to the file and to the database."""
    if service.state is None:
        return
    ledger, shipper = service.state.ledger, service.state.shipper
    yield "gateway_ledger_rows_queued", (), ledger.queued
    yield "gateway_ledger_rows_open", (), ledger.open_rows
    yield "gateway_ledger_lag_seconds", (), ledger.lag
    yield "gateway_ledger_rows_written", (), ledger.written
    yield "gateway_ledger_requests_refused", (), ledger.refused
    yield "gateway_ledger_rows_dropped", (), ledger.dropped
    yield "gateway_ledger_rows_recovered", (), ledger.recovered
    if shipper is not None:
        yield "gateway_shipper_rows_waiting", (), shipper.waiting
        yield "gateway_shipper_rows_shipped", (), shipper.shipped
        yield "gateway_shipper_rows_refused", (), shipper.refused
        yield "gateway_shipper_connected", (), int(shipper.connected)


def _prices(service: GatewayService) -> Iterator[_Sample]:
    """What has a price and what has none."""
    assert service.assembly is not None
    link = service.assembly.prices
    yield "gateway_requests_priced", (), link.pricer.priced
    yield "gateway_requests_unpriced", (), link.pricer.unpriced
    yield "gateway_prices_skipped", (), link.skipped


def _dedup(service: GatewayService) -> Iterator[_Sample]:
    """Answers that are had in common."""
    assert service.assembly is not None
    yield "gateway_dedup_memory_bytes", (), service.assembly.dedup.used


def _hooks(service: GatewayService) -> Iterator[_Sample]:
    """What an operator's own code does wrong."""
    assert service.assembly is not None
    hooks = service.assembly.hooks
    if hooks is None:
        return
    for name, count in hooks.failures.items():
        yield "gateway_hook_failures", (name,), count
    for name, count in hooks.slow.items():
        yield "gateway_hook_slow_calls", (name,), count


def _log(service: GatewayService) -> Iterator[_Sample]:
    """What whoever reads the log did not take."""
    yield "gateway_log_records_dropped", (), log_destination.dropped()


_STARTED: Final = time.time()


def _process(service: GatewayService) -> Iterator[_Sample]:
    """The process itself; proc_pid_statm(5)."""
    times = os.times()
    yield "gateway_worker_start_time_seconds", (), _STARTED
    yield "gateway_worker_cpu_seconds", (), times.user + times.system
    try:
        resident = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return  # only Linux has it
    yield "gateway_worker_resident_memory_bytes", (), resident * os.sysconf("SC_PAGE_SIZE")


_PARTS: Final[tuple[Callable[[GatewayService], Iterator[_Sample]], ...]] = (
    _requests,
    _streams,
    _connections,
    _ledger,
    _prices,
    _dedup,
    _hooks,
    _log,
    _process,
)
