"""The supervisor's admin listener, from one configuration to the next.

What it takes is imported when it starts, which is while the first workers do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from ..admin.errors import AdminError
from ..admin.fleet import Fleet
from ..config import Config, ConfigError, parse
from .plan import Plan

if TYPE_CHECKING:
    from ..admin.listener import AdminListener

_log = Logger(namespace="gateway.supervisor")


class Admin:
    """See the module's text."""

    def __init__(self, config: Config, fleet: Fleet, reactor: Any) -> None:
        self._config = config
        self._fleet = fleet
        self._reactor = reactor
        self._listener: AdminListener | None = None

    def start(self) -> None:
        """Listen, if that is wanted.  Raises `AdminError`."""
        from ..admin.listener import AdminListener

        self._listener = AdminListener(self._config, self._fleet, self._reactor)
        self._listener.start()

    def follow(self, plan: Plan) -> None:
        """Go on as a reloaded configuration says, or as before if that is not possible."""
        if self._listener is None:
            return
        try:
            self._listener.reload(parse(plan.source, plan.text.encode()))
        except (AdminError, ConfigError, OSError) as error:
            # Keys of a newer version are understood by the workers already, and not yet here.
            _log.error("the admin listener goes on as before: {why}", why=str(error))

    def stop(self) -> Deferred[None]:
        """Close it."""
        return succeed(None) if self._listener is None else self._listener.stop()
