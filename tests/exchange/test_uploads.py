"""Request bodies that are passed on while they come: pace, ends and early answers."""

from __future__ import annotations

import h11

from gateway.front.site import FrontLimits
from tests.world import BUFFER, LAST, World, chunked

HEAD = (
    b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"%b\r\n\r\n"
)
TOLD = HEAD % b"Content-Length: 300000"
CHUNKED = HEAD % b"Transfer-Encoding: chunked"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def asked(raw: bytes) -> tuple[bytes, bool]:
    """The body of the request that an upstream got, read by a strict parser; and if it is whole."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(raw)
    body, whole = b"", False
    while True:
        event = server.next_event()
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            whole = True
        elif not isinstance(event, h11.Request):
            return body, whole


def test_a_body_goes_out_as_it_comes_in() -> None:
    """D10: the upstream has its beginning before the client has sent its end."""
    world = World()
    client = world.client().send(TOLD + b"a" * 1000)
    assert world.up.unread.endswith(b"a" * 1000)
    client.send(b"b" * 299000)
    assert asked(world.up.read()) == (b"a" * 1000 + b"b" * 299000, True)
    world.up.deliver(OK)
    assert client.response().body == b"{}"
    record = world.record
    assert (record.outcome, record.intent.request_bytes) == ("finished", 300000)
    assert world.budget.held == 0


def test_a_chunked_body_is_framed_anew() -> None:
    """D10: one framing in, one framing out."""
    world = World()
    client = world.client().send(CHUNKED + b"5;ext=1\r\nhello\r\n")
    client.send(b"6\r\n world\r\n0\r\nTrailer: x\r\n\r\n")
    raw = world.up.read()
    assert b"ext" not in raw
    assert b"Trailer" not in raw
    assert asked(raw) == (b"hello world", True)
    world.up.deliver(OK)
    assert world.record.intent.request_bytes == 11


def test_what_comes_before_the_upstream_is_there_waits_in_the_clients_socket() -> None:
    """D10: no more than one read is held."""
    world = World()
    world.ledger.hold = True
    world.never_connect()
    client = world.client().send(TOLD + b"a" * 10)
    assert not client.wire.reading
    world.ledger.release()
    assert not client.wire.reading
    world.endpoint.connect_now()
    assert client.wire.reading
    assert world.up.unread.endswith(b"a" * 10)


def test_an_upstream_that_does_not_take_the_body_pauses_its_client() -> None:
    """D10: at most a buffer and a read are held; it goes on when there is room."""
    world = World()
    client = world.client().send(TOLD)
    world.up.stalled = True
    sent = 0
    while client.wire.reading and sent < 290_000:
        client.send(b"x" * 10_000)
        sent += 10_000
    assert len(world.up.unread) < BUFFER + 20_000
    raw = world.up.read()
    assert client.wire.reading
    world.up.stalled = False
    client.send(b"x" * (300_000 - sent))
    assert asked(raw + world.up.read()) == (b"x" * 300_000, True)


def test_a_body_whose_last_byte_paused_its_client_leaves_the_connection_read() -> None:
    """D10, H6: else nobody would see the client go, and its next request would hang."""
    world = World()
    client = world.client().send(TOLD)
    world.up.stalled = True
    client.send(b"x" * 300_000)
    assert client.wire.reading
    world.up.stalled = False
    assert asked(world.up.read())[1]
    world.up.deliver(OK)
    client.send(CHUNKED + chunked(b"again") + LAST)
    assert asked(world.up.read()) == (b"again", True)


def test_a_body_that_is_whole_before_the_upstream_is_there_leaves_the_connection_read() -> None:
    """A2, D10: a client that goes while the upstream is awaited is seen to go."""
    world = World()
    world.ledger.hold = True
    client = world.client().send(CHUNKED + chunked(b"hello") + LAST)
    assert client.wire.reading
    client.wire.lose()
    assert world.record.outcome == "client_gone"
    world.ledger.release()
    assert not world.endpoint.wires


def test_an_upstream_that_never_takes_the_body_is_given_up() -> None:
    """D10, E2: the idle timeout runs while it stands still."""
    world = World(idle_timeout=30.0)
    client = world.client().send(TOLD)
    world.up.stalled = True
    while client.wire.reading:
        client.send(b"x" * 10_000)
    world.clock.pump([1.0] * 29)
    assert not world.ledger.records
    world.clock.advance(1)
    assert client.response().status == 504
    assert world.record.error == "idle_timeout"
    assert world.up.aborted


def test_a_body_that_we_do_not_read_is_not_its_clients_fault() -> None:
    """D10, H3: however long the upstream takes nothing; the client's pace counts again after it."""
    world = World(idle_timeout=None)
    client = world.client().send(TOLD)
    world.up.stalled = True
    while client.wire.reading:
        client.send(b"x" * 10_000)
    world.clock.pump([1.0] * 100)
    assert not world.ledger.records
    world.up.read()
    world.clock.pump([1.0] * 20)
    assert client.response().status == 408


def test_an_early_answer_is_relayed_while_the_upload_is_on() -> None:
    """D10: and what is still to come of the body is thrown away, not sent and not parsed."""
    world = World()
    client = world.client().send(TOLD + b"a" * 1000)
    world.up.deliver(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
    response = client.response()
    assert (response.status, response.whole) == (413, True)
    assert response.get(b"connection") == b"close"
    assert world.up.aborted
    client.send(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n" * 10)
    assert len(world.ledger.intents) == 1
    world.clock.advance(FrontLimits().linger)
    world.clock.advance(0)
    assert client.wire.lost
    assert world.idle()


def test_the_head_timeout_counts_from_the_end_of_the_upload() -> None:
    """D10, E2: an upload that takes an hour is not an upstream that does not answer."""
    world = World(head_timeout=60.0)
    client = world.client().send(TOLD)
    for _ in range(15):
        world.clock.advance(9)
        client.send(b"x" * 20_000)
    world.clock.advance(59)
    assert not world.ledger.records
    world.clock.advance(1)
    assert client.response().status == 504
    assert world.record.error == "head_timeout"


def test_a_body_that_drips_is_ended_and_its_upstream_let_go() -> None:
    """H3: a byte now and then does not hold a connection."""
    world = World()
    client = world.client().send(TOLD)
    for _ in range(30):
        if world.ledger.records:
            break
        client.send(b"x")
        world.clock.advance(1)
    assert client.response().status == 408
    assert (world.record.outcome, world.record.error) == ("rejected", "bad_request")
    assert world.up.aborted


def test_a_kept_body_that_drips_is_ended_too() -> None:
    """H3: before anything was asked."""
    world = World()
    client = world.client()
    client.send(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(30):
        if client.raw():
            break
        client.send(b"x")
        world.clock.advance(1)
    assert client.response().status == 408
    assert not world.ledger.intents
    assert (world.record.outcome, world.record.error) == ("rejected", "bad_request")
    assert world.record.error_detail == "the body of a request did not come in time"


def test_a_client_that_leaves_in_mid_upload_leaves_no_whole_request_behind() -> None:
    """A2, D10: the upstream's connection is reset, the row says who left."""
    world = World()
    client = world.client().send(TOLD + b"a" * 1000)
    client.wire.lose()
    assert world.up.aborted
    assert not asked(world.up.read())[1]
    assert (world.record.outcome, world.record.intent.request_bytes) == ("client_gone", 1000)
    world.clock.advance(0)
    assert world.idle()


def test_a_malformed_chunk_in_mid_upload_is_a_400_and_never_a_whole_request() -> None:
    """H1: what cannot be read is not passed on as if it could."""
    world = World()
    client = world.client().send(CHUNKED + b"5\r\nhello\r\n")
    client.send(b"zz\r\n")
    assert client.response().status == 400
    assert world.up.aborted
    assert not asked(world.up.read())[1]
    assert (world.record.outcome, world.record.error) == ("rejected", "bad_request")


def test_an_upload_over_the_limit_is_a_413() -> None:
    """H1: told at once, or found out while it comes."""
    world = World(max_body=1000)
    assert world.client().send(TOLD).response().status == 413
    assert not world.endpoint.wires
    client = world.client().send(CHUNKED)
    client.send(chunked(b"x" * 1001))
    assert client.response().status == 413
    assert world.up.aborted


def test_the_next_request_follows_a_finished_upload_on_the_same_connections() -> None:
    """H6: the upload's end is the request's end."""
    world = World()
    client = world.client().send(CHUNKED + chunked(b"hello") + LAST + CHUNKED[:50])
    world.up.deliver(OK)
    world.clock.advance(0)
    client.send(CHUNKED[50:] + chunked(b"again") + LAST)
    world.up.deliver(OK)
    assert [r.body for r in client.responses("POST", "POST")] == [b"{}", b"{}"]
    assert len(world.endpoint.wires) == 1
