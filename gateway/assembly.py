"""What a process is made of: the way of a request, put together from a configuration.

`gateway.service` says in which order the parts start and stop; here is what they are, and who knows
whom.  Nothing made here listens or connects yet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import journal
from .admin.meter import Meter
from .callers import Callers
from .config import Config
from .config.model import Gateway
from .dedup import Dedup
from .descriptors import Descriptors
from .door import FrontDoor
from .exchange.completion import Link
from .exchange.forward import Outbound
from .exchange.services import Services
from .front.budget import BodyBudget
from .front.site import FrontLimits, GatewaySite
from .hooks.calls import Hooks
from .hosts import hosts_for
from .http1 import HeadLimits
from .intents import Intents
from .ledger.interface import Ledger
from .prices import PriceLink, Pricer
from .proxy import ReverseProxy
from .redact import Redactor
from .routing import Router
from .upstream.endpoint import endpoint_for
from .upstream.pool import Pool


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts; `sites` are in the order of the configuration's ``listen``."""

    services: Services
    prices: PriceLink
    pools: Mapping[str, Pool]  #: by the upstreams' names
    door: FrontDoor
    sites: Sequence[GatewaySite]
    dedup: Dedup
    hooks: Hooks | None
    budget: BodyBudget  #: of all sites
    meter: Meter


def assemble(
    config: Config,
    reactor: Any,
    ledger: Ledger,
    instance: str,
    tenant_key: bytes,
    accepting: Callable[[], bool],
    descriptors: Descriptors,
    hooks: Hooks | None = None,
) -> Assembly:
    """Put together what serves requests.

    `instance` is what rows call this process; `tenant_key` makes the names of tenants; requests are
    answered 503 while `accepting` says no.  Raises `CertificateFileError`.
    """
    pools = {
        name: Pool(upstream, endpoint_for(upstream, reactor), reactor)
        for name, upstream in config.upstreams.items()
    }
    prices = PriceLink(Pricer.of(config), reactor)
    meter = Meter()
    links: list[Link] = [
        ("prices", prices.price),
        ("ledger", ledger.settle),
        ("metrics", meter.count),
        ("log", journal.log_record),
    ]
    if hooks is not None:
        links.append(("hooks", hooks.settled))
    services = Services(
        clock=reactor,
        wall=time.time,
        ledger=ledger,
        links=links,
        redactor=Redactor.of(config),
        hooks=hooks if hooks is not None and hooks.sees_requests else None,
    )
    callers = Callers(config.clients, config.gateway.trusted_proxies, tenant_key, os.urandom(32))
    outbound = {
        name: Outbound(upstream, callers.pseudonym, clients_configured=callers.configured)
        for name, upstream in config.upstreams.items()
    }
    intents = Intents(instance, services.wall)
    door = FrontDoor(
        services,
        Router(config.routes),
        callers,
        outbound,
        intents,
        config.gateway.max_streams,
        accepting,
        descriptors,
    )
    dedup = Dedup(services, config.gateway.dedup_memory)
    proxy = ReverseProxy(services, door, pools, intents, dedup)
    budget = BodyBudget(config.gateway.max_buffered)
    limits = _front_limits(config.gateway)
    sites = [
        GatewaySite(
            proxy,
            door,
            reactor,
            budget,
            limits,
            hosts=hosts_for(text, config.gateway.allowed_hosts),
            descriptors=descriptors,
        )
        for text in config.gateway.listen
    ]
    return Assembly(services, prices, pools, door, sites, dedup, hooks, budget, meter)


def share(config: Config, workers: int) -> Config:
    """The configuration of one of `workers` processes: its part of what holds for all together.

    Parts are rounded up, so that a limit of 1 lets something through in each.
    """
    gateway = config.gateway
    return replace(
        config,
        gateway=replace(
            gateway,
            max_streams=-(-gateway.max_streams // workers),
            max_buffered=-(-gateway.max_buffered // workers),
            dedup_memory=-(-gateway.dedup_memory // workers),
        ),
    )


def _front_limits(gateway: Gateway) -> FrontLimits:
    return FrontLimits(
        head=HeadLimits(total=gateway.max_head, fields=gateway.max_headers),
        head_timeout=gateway.client_head_timeout,
        idle_timeout=gateway.client_idle_timeout,
        body_grace=gateway.client_body_grace,
        body_rate=gateway.client_body_rate,
    )
