"""Listening sockets by endpoint string."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.listening import Listener, ListenError, open_listener
from gateway.listening.sockets import BACKLOG
from tests.process.gateway_process import free_port

LOOPBACK = "tcp:0:interface=127.0.0.1"


def connects(family: int, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        return sock.connect_ex(address) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (LOOPBACK, "127.0.0.1"),
        ("tcp:0:interface=localhost", "127.0.0.1"),
        (r"tcp:0:interface=\:\:1", "::1"),
        (r"tcp6:0:interface=\:\:1", "::1"),
        (r"tls:/etc/certificates:0:interface=\:\:1", "::1"),
        ("ssl:0:privateKey=/k.pem:interface=127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_socket_takes_connections_once_it_is_opened(text: str, address: str) -> None:
    with closing(open_listener(text)) as listener:
        assert listener.text == text
        assert listener.socket.getsockname()[0] == address
        assert connects(listener.family, listener.socket.getsockname()[:2])
        assert not listener.socket.getblocking()
        assert not os.get_inheritable(listener.fileno())


def test_two_colons_are_the_addresses_of_both_families() -> None:
    """As with Twisted's own endpoint, where the system's default is left as it is."""
    if Path("/proc/sys/net/ipv6/bindv6only").read_text() != "0\n":
        pytest.skip("this system keeps the families apart")
    with closing(open_listener("tcp6:0")) as listener:
        assert connects(socket.AF_INET, ("127.0.0.1", listener.socket.getsockname()[1]))


def test_connections_wait_up_to_the_backlog_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(socket.socket, "listen", lambda _, backlog: asked.append(backlog))
    for text in (LOOPBACK, f"{LOOPBACK}:backlog=7"):
        open_listener(text).close()
    assert asked == [BACKLOG, 7]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "tcp:{port}:interface=127.0.0.1",
            "Address already in use; is another gateway running? Stop it, or name another port",
        ),
        ("tcp:0:interface=192.0.2.1", "Cannot assign requested address; no interface of this"),
        ("unix:{folder}/none/s", "No such file or directory; make the folder first"),
        ("unix:{folder}/" + 110 * "x", "the path of a Unix socket has at most 107 bytes, take a"),
        ("unix:{folder}/file", "{folder}/file is no socket; name another address in listen"),
    ],
)
def test_what_cannot_be_listened_on_is_said_with_what_would_be_right(
    text: str, what: str, tmp_path: Path
) -> None:
    """O7: the endpoint string, the system's reason, and a hint."""
    (tmp_path / "file").write_text("")
    port = free_port()
    with closing(open_listener(f"tcp:{port}:interface=127.0.0.1")):
        text = text.format(port=port, folder=tmp_path)
        with pytest.raises(ListenError) as caught:
            open_listener(text)
    assert str(caught.value).startswith(f"listen = {text}: ")
    assert what.format(folder=tmp_path) in str(caught.value)
    assert (tmp_path / "file").exists()


def test_a_descriptor_that_was_handed_over_is_the_same_socket() -> None:
    with closing(open_listener(LOOPBACK)) as first:
        with closing(Listener.from_fd(LOOPBACK, os.dup(first.fileno()))) as second:
            assert second.family == socket.AF_INET
            assert second.socket.getsockname() == first.socket.getsockname()
        assert connects(socket.AF_INET, first.socket.getsockname())


# Unix sockets.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


def test_a_unix_socket_has_its_mode_and_goes_with_its_maker(path: Path) -> None:
    listener = open_listener(f"unix:{path}:mode=640")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert connects(socket.AF_UNIX, str(path))
    listener.close()
    listener.close()
    assert not path.exists()


def test_a_unix_socket_that_nobody_listens_on_is_taken_over(path: Path) -> None:
    """A gateway that was killed leaves its file behind."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    with closing(open_listener(f"unix:{path}")):
        assert connects(socket.AF_UNIX, str(path))


def test_a_unix_socket_that_somebody_listens_on_is_left_alone(path: Path) -> None:
    """O7: the message says what is wrong, and what would be right."""
    with closing(open_listener(f"unix:{path}")):
        with pytest.raises(ListenError, match="is another gateway running"):
            open_listener(f"unix:{path}")
        assert connects(socket.AF_UNIX, str(path))


def test_a_full_backlog_is_somebody_who_listens(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, closing(socket.socket(socket.AF_UNIX)) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(ListenError, match="is another gateway running"):
            open_listener(f"unix:{path}")


def test_only_the_file_that_it_made_is_removed_by_a_listener(path: Path) -> None:
    listener = open_listener(f"unix:{path}")
    path.unlink()
    with closing(open_listener(f"unix:{path}")) as successor:
        listener.close()
        assert connects(socket.AF_UNIX, successor.socket.getsockname())


def test_a_worker_that_closes_its_copy_leaves_the_file(path: Path) -> None:
    with closing(open_listener(f"unix:{path}")) as listener:
        Listener.from_fd(listener.text, os.dup(listener.fileno())).close()
        child = os.fork()
        if child == 0:
            listener.close()  # as its maker would, but in another process
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert connects(socket.AF_UNIX, str(path))


# systemd's.


@contextmanager
def handed_over(monkeypatch: pytest.MonkeyPatch, *sockets: socket.socket) -> Iterator[None]:
    """Have `sockets` be the descriptors that systemd would have handed over."""
    base = max(sock.fileno() for sock in sockets) + 1000
    monkeypatch.setattr("gateway.listening.systemd._FIRST", base)
    for offset, sock in enumerate(sockets):
        os.dup2(sock.fileno(), base + offset)
    try:
        yield
    finally:
        for offset in range(len(sockets)):
            os.close(base + offset)


def environ(count: int, names: str = "") -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}


@pytest.mark.parametrize("which", ["index=1", "name=api"])
def test_a_socket_of_systemd_s_is_found_as_often_as_it_is_asked_for(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O3: the next generation is given it again."""
    text = f"systemd:domain=INET:{which}"
    other, mine = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    with other, mine, handed_over(monkeypatch, other, mine):
        for _ in range(2):
            with closing(open_listener(text, environ(2, "admin:api"))) as listener:
                assert listener.socket.getsockname() == mine.getsockname()
                assert not listener.socket.getblocking()
        assert connects(socket.AF_INET, mine.getsockname())


@pytest.mark.parametrize(
    ("text", "names", "what"),
    [
        ("domain=INET:index=2", "", "handed over 2 of them, counted from 0; name a lower index"),
        ("domain=INET:name=c", "a:b", "sockets are called a, b; write FileDescriptorName="),
        ("domain=INET:name=a", "a:a", "2 of systemd's sockets are called a; write index="),
        ("domain=UNIX:index=0", "", "is of domain INET; write domain=INET"),
        ("domain=INET:index=1", "", "does not listen; write Accept=no"),
    ],
)
def test_a_socket_that_systemd_does_not_have_is_said_so(
    text: str, names: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7: the message says what is wrong, and what would be right."""
    server, deaf = socket.create_server(("127.0.0.1", 0)), socket.socket()
    with (
        server,
        deaf,
        handed_over(monkeypatch, server, deaf),
        pytest.raises(ListenError) as caught,
    ):
        open_listener(f"systemd:{text}", environ(2, names))
    assert what in str(caught.value)


def test_a_socket_for_datagrams_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        handed_over(monkeypatch, sock),
        pytest.raises(ListenError, match="not one for streams; write ListenStream="),
    ):
        open_listener("systemd:domain=INET:index=0", environ(1))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "handed over no socket"),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, "for process 1, this one is .*--nodaemon"),
        ({"LISTEN_FDS": "1"}, r"for process \(none\)"),
    ],
)
def test_sockets_of_another_process_are_none_of_ours(given: dict[str, str], what: str) -> None:
    """O7: sd_listen_fds(3): whoever forks has to look at LISTEN_PID."""
    with pytest.raises(ListenError, match=what):
        open_listener("systemd:domain=INET:index=0", given)


def test_a_socket_whose_file_cannot_be_removed_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: whoever closes several, in the middle of a stop, comes to all of them."""

    def refused(*_: object) -> None:
        raise PermissionError

    path = tmp_path / "socket"
    listener = open_listener(f"unix:{path}")
    monkeypatch.setattr(os, "unlink", refused)
    listener.close()
    assert listener.fileno() == -1
    assert path.exists()
