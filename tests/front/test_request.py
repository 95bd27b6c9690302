"""A request as Twisted's own code sees it."""

from __future__ import annotations

from twisted.web.server import Request as TwistedRequest
from twisted.web.test.requesthelper import DummyChannel

from gateway.front.channel import Channel
from gateway.front.request import Request
from gateway.http1 import Fields, RequestHead
from tests.world import World


def a_request(**fields: str) -> Request:
    """One on a connection in memory."""
    channel = World().client().wire.protocol
    assert isinstance(channel, Channel)
    pairs = [(name.encode(), value.encode()) for name, value in fields.items()]
    return Request(channel, RequestHead(b"GET", b"/?a=b", 1, Fields(pairs)))


def test_everything_that_twisteds_initialiser_sets_is_there() -> None:
    theirs = vars(TwistedRequest(DummyChannel()))
    ours = a_request()

    missing = [name for name in theirs if not hasattr(ours, name)]
    assert not missing
    kinds = {name: type(theirs[name]) for name in theirs.keys() - {"channel", "transport"}}
    assert {name: type(getattr(ours, name)) for name in kinds} == kinds


def test_twisteds_tables_are_made_on_demand_and_kept() -> None:
    request = a_request(cookie="a=1", Accept="x")

    assert request.getHeader(b"ACCEPT") == b"x"
    request.setHeader("x-a", "b")  # type: ignore[no-untyped-call]
    assert list(request.responseHeaders.getAllRawHeaders()) == [(b"X-A", [b"b"])]
    assert request.requestHeaders is request.requestHeaders
