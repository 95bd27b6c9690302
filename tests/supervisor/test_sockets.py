"""Which sockets stay open from one generation to the next."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from gateway.listening import Listener, ListenError, open_listener
from gateway.supervisor.sockets import Sockets, places
from tests.process.gateway_process import free_port


class FakeListener:
    """A listener without a socket."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lost = False
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


def connects(path: Path) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


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


def unix_sockets(path: Path) -> tuple[Sockets, str]:
    """Real ones, of which one was opened on `path`; its file was removed."""
    sockets, text = Sockets({}), f"unix:{path}"
    sockets.take([text])
    sockets.keep([text])
    path.unlink()
    return sockets, text


def test_a_unix_socket_whose_file_was_removed_is_made_again(tmp_path: Path) -> None:
    """O3: the next generation has another socket at the same address."""
    path = tmp_path / "socket"
    sockets, text = unix_sockets(path)
    [before] = sockets.take([text])
    assert sockets.keep([text]) == []
    [after] = sockets.take([text])
    assert after is before
    assert connects(path)
    sockets.keep()
    assert not path.exists()


def test_a_generation_that_does_not_come_to_serve_takes_its_new_socket_along(
    tmp_path: Path,
) -> None:
    """O3: nothing has changed: workers that are replaced are given what they had."""
    path = tmp_path / "socket"
    sockets, text = unix_sockets(path)
    [had] = sockets._open.values()
    [new] = sockets.take([text])
    sockets.go_back([text])
    assert new.fileno() == -1
    assert not path.exists()
    assert had.fileno() >= 0
    sockets.keep()
    assert had.fileno() == -1


def test_a_path_that_another_gateway_listens_on_by_now_is_left_to_it(tmp_path: Path) -> None:
    """O3, O7: nothing has changed, and a reload is refused for it."""
    path = tmp_path / "socket"
    sockets, text = unix_sockets(path)
    with closing(open_listener(text)):
        with pytest.raises(ListenError, match="is another gateway running"):
            sockets.take([text])
        sockets.go_back([text])
        sockets.keep()
        assert connects(path)


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
        ("tcp:80", "tcp:80:interface=0.0.0.0", True),
        (r"tcp6:80:interface=\:\:1", r"tcp:80:interface=0\:0\:0\:0\:0\:0\:0\:1", True),
        ("tcp:80:interface=localhost", "tcp:81:interface=localhost", False),
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


def test_another_address_of_a_port_of_one_s_own_takes_two_reloads_or_a_restart() -> None:
    """O3, O7: nobody else has the port, which is what the message of a start would make of it."""
    port = free_port()
    old, new = f"tcp:{port}:interface=127.0.0.1", f"tcp:{port}"
    sockets = Sockets({})
    [had] = sockets.take([old])
    with pytest.raises(ListenError) as caught:
        sockets.take([new])
    assert str(caught.value).startswith(f"listen = {new}: ")
    assert "Address already in use" in str(caught.value)
    assert caught.value.hint == (
        f"this gateway itself has the port, by {old}: restart it, or leave that out of listen for "
        "one reload and write this one for the next"
    )
    assert had.fileno() >= 0
    sockets.keep()
    sockets.take([new])
    sockets.keep()


def test_a_port_that_another_program_has_is_told_as_at_a_start() -> None:
    """O7: whatever other ports are one's own."""
    sockets = Sockets({})
    sockets.take(["tcp:0:interface=127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as other:
        text = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
        with pytest.raises(ListenError, match="is another gateway running"):
            sockets.take([text])
    sockets.keep()
