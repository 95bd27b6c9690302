"""What a hook module provides: functions of these names, any of them and none besides."""

from __future__ import annotations

from collections.abc import Mapping

from zope.interface import Interface

from ..record import Value
from .heads import RequestHead, ResponseHead

#: A settled row, as ``gatewayctl requests --json`` shows it.
Row = Mapping[str, Value]


class IGatewayHooks(Interface):
    """The hooks of a module, each a function of the module; all are optional.

    They run in the one thread of the gateway: as long as one computes or blocks, every stream
    stands still.  What one raises is logged and counted, and reaches no stream.
    """

    def request(head: RequestHead) -> object:  # noqa: N805
        """See a request before its upstream is asked; change its header fields, tag or refuse it.

        Returns None, or a Deferred of None (it may be an ``async def``), which the request waits
        for, up to `gateway.hooks.calls.REQUEST_LIMIT` seconds.
        """

    def response(head: ResponseHead) -> None:  # noqa: N805
        """See the head of an upstream's answer before it is passed on; change its fields, tag."""

    def event(block: bytes) -> None:  # noqa: N805
        """See whole events of a stream as the client gets them, on routes with ``hook_events``."""

    def settled(row: Row) -> object:  # noqa: N805
        """See the row of a request that has ended, after the ledger has been given it.

        Returns None, or a Deferred of None (it may be an ``async def``).  No request waits for it;
        a stop does, up to `gateway.hooks.calls.STOP_LIMIT` seconds.
        """
