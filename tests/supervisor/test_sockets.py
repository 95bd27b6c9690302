"""Which sockets stay open from one generation to the next."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.listening import Listener, ListenError
from gateway.supervisor.sockets import Sockets, places


class FakeListener:
    """A listener without a socket."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Opener:
    """Opens fakes; what is in `taken` cannot be had."""

    def __init__(self) -> None:
        self.opened: list[FakeListener] = []
        self.taken: set[str] = set()

    def __call__(self, text: str, environ: Mapping[str, str]) -> Listener:
        if text in self.taken:
            raise ListenError(text, "it is in use", "take another one")
        self.opened.append(FakeListener(text))
        return self.opened[-1]  # type: ignore[return-value]

    @property
    def open(self) -> list[str]:
        return [listener.text for listener in self.opened if not listener.closed]


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
def sockets(opener: Opener) -> Sockets:
    return Sockets({}, opener)


def test_an_address_that_stays_keeps_its_socket(sockets: Sockets, opener: Opener) -> None:
    """O3: whatever comes and goes beside it."""
    [before, _] = sockets.take(["tcp:1", "tcp:2"])
    [_, after] = sockets.take(["tcp:3", "tcp:1"])
    assert after is before
    assert opener.open == ["tcp:1", "tcp:2", "tcp:3"]
    assert sockets.keep(["tcp:3", "tcp:1"]) == ["tcp:2"]
    assert opener.open == ["tcp:1", "tcp:3"]


def test_what_was_opened_before_a_failure_is_closed_again(sockets: Sockets, opener: Opener) -> None:
    """O3, O7: nothing has changed."""
    sockets.take(["tcp:1"])
    opener.taken.add("tcp:3")
    with pytest.raises(ListenError):
        sockets.take(["tcp:1", "tcp:2", "tcp:3"])
    assert opener.open == ["tcp:1"]


def test_all_are_closed_at_the_end(sockets: Sockets, opener: Opener) -> None:
    """O4: new connections are refused from then on."""
    sockets.take(["tcp:1", "unix:/s"])
    sockets.keep()
    assert opener.open == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp:443", "ssl:443:privateKey=/a", True),
        ("ssl:443:privateKey=/a", "ssl:443:privateKey=/b:certKey=/c", True),
        ("tcp:80:interface=127.0.0.1", "tcp:interface=127.0.0.1:port=80:backlog=9", True),
        ("tcp:80:interface=127.0.0.1", "tcp:80", False),
        ("tcp6:80", "tcp:80", False),
        ("tls:/certificates", "tcp6:443", True),
        ("unix:/a", "unix:/a:mode=600", True),
        ("unix:/a", "unix:/b", False),
        ("systemd:domain=INET:name=http", "systemd:domain=INET:name=https", False),
    ],
)
def test_what_counts_is_the_address(one: str, other: str, same: bool) -> None:
    """O3: another certificate is no other address."""
    assert (places([one]) == places([other])) is same


def test_any_free_port_is_another_one_each_time() -> None:
    """O3: the same text twice is two sockets."""
    one, two = places(["tcp:0", "tcp:0"])
    assert one != two
