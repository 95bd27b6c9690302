"""What a process that serves says about itself, as JSON can carry it.

Called where the process is: by `gateway.admin.fleet.LocalFleet`, and in a worker by whoever answers
its supervisor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .snapshot import snapshot
from .streams import kill_stream, streams

if TYPE_CHECKING:
    from ..service import GatewayService

#: What can be asked for.
KINDS = ("metrics", "streams")


def report(service: GatewayService, kind: str, worker: str, generation: int) -> dict[str, Any]:
    """One of `KINDS`: ``{"worker": …, "generation": …, kind: …}``.

    ``metrics`` is a `gateway.admin.sums.Samples`, ``streams`` a list of rows as
    `gateway.admin.streams.row` has them, and beside it ``open``, how many there are.  Raises
    ValueError for any other kind.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} cannot be asked for, only {' or '.join(KINDS)}")
    who = {"worker": worker, "generation": generation}
    if kind == "metrics":
        return {**who, "metrics": {} if service.assembly is None else snapshot(service)}
    if service.assembly is None:
        return {**who, "streams": [], "open": 0}
    services = service.assembly.services
    rows = streams(services.running, services.clock.seconds(), services.wall())
    return {**who, "streams": rows, "open": len(services.running)}


def kill(service: GatewayService, stream_id: str) -> bool:
    """End a request of this process; whether it was there."""
    return service.assembly is not None and kill_stream(service.assembly.services, stream_id)
