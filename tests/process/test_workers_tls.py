"""TLS listeners of a real gateway: certificates by credential, and new ones."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.process.begun_stream import play_stream
from tests.process.certificates import write_identity
from tests.process.gateway_process import GatewayProcess, free_port
from tests.process.raw_client import PATHS, RawClient, prompt
from tests.process.scripted_upstream import ScriptedUpstream
from tests.process.workers_gateway import START_PATIENCE, WorkersGateway
from tests.transcripts import CHAT_EVENTS

CHAT = PATHS["openai_chat"]


class Renewed:
    """The credential ``tls``: a key and a certificate, which are replaced by others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.certificate = b""
        self.renew()

    def renew(self) -> None:
        """Put another key and certificate in the place of those that there are."""
        path = write_identity(self._folder, None)
        path = path.rename(self._folder / "tls")
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        self.certificate = certificate.public_bytes(Encoding.DER)

    @property
    def environ(self) -> dict[str, str]:
        """What systemd sets."""
        return {"CREDENTIALS_DIRECTORY": str(self._folder)}


@pytest.fixture
def credential(tmp_path: Path) -> Renewed:
    """See `Renewed`."""
    return Renewed(tmp_path / "credentials")


@pytest.fixture
def go_on(upstream: ScriptedUpstream) -> Iterator[threading.Event]:
    """The upstream begins streams, and goes on to their ends once this is set."""
    event = play_stream(upstream, START_PATIENCE)
    yield event
    event.set()


def with_tls(gateway: GatewayProcess) -> int:
    """Let the gateway, which has not started, listen for TLS as well; the port."""
    port = free_port()
    listen = rf"ssl:{port}:privateKey=credential\:tls:interface=127.0.0.1"
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace("allowed_hosts", f"  {listen}\nallowed_hosts"))
    return port


def connect(port: int) -> tuple[RawClient, bytes | None]:
    """A client over TLS, and the certificate that it was shown."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    client = RawClient(port)
    secure = trusting.wrap_socket(client.sock)
    client.sock = secure
    return client, secure.getpeercert(binary_form=True)


def shown(port: int) -> bytes | None:
    """The certificate that a new client is shown."""
    client, certificate = connect(port)
    with client:
        return certificate


def listening(port: int) -> str:
    """The socket that listens on a port, by its inode; tcp(5) in /proc."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    [inode] = [
        line[9] for line in lines if line[3] == "0A" and int(line[1].split(":")[1], 16) == port
    ]
    return inode


def test_a_reload_shows_new_clients_the_new_certificate_and_streams_go_on(
    tmp_path: Path, upstream: ScriptedUpstream, credential: Renewed, go_on: threading.Event
) -> None:
    """O3: on the same socket, so that nobody is refused meanwhile."""
    sections = upstream.sections(keepalive="off")
    gateway = WorkersGateway(tmp_path, sections, environ=credential.environ)
    port = with_tls(gateway)
    try:
        gateway.start()
        gateway.wait_for_log("generation 1 serves")
        socket, old = listening(port), credential.certificate
        client, certificate = connect(port)
        with client:
            client.post(CHAT, prompt(stream=True)).body_until(CHAT_EVENTS[1])
            credential.renew()
            gateway.reload(2)
            go_on.set()
            assert client.rest() == b"".join(CHAT_EVENTS[2:])
        assert certificate == old
        gateway.wait_for_names("g2w0", "g2w1")
        assert {shown(port) for _ in range(10)} == {credential.certificate}
        assert credential.certificate != old
        assert listening(port) == socket
        assert [row["outcome"] for row in gateway.new_rows()] == ["finished"]
    finally:
        gateway.kill()


def test_a_certificate_that_cannot_be_used_changes_nothing(
    tmp_path: Path, upstream: ScriptedUpstream, credential: Renewed
) -> None:
    """O1: the old one is shown on."""
    gateway = WorkersGateway(tmp_path, upstream.sections(), environ=credential.environ)
    port = with_tls(gateway)
    try:
        gateway.start()
        gateway.wait_for_log("generation 1 serves")
        (tmp_path / "credentials" / "tls").write_text("no certificate")
        gateway.hang_up()
        gateway.wait_for_log("nothing was changed; generation 1 goes on")
        [problem] = [line for line in gateway.output.splitlines() if f"{gateway.config}:" in line]
        assert "[gateway] listen: " in problem
        assert str(tmp_path / "credentials" / "tls") in problem
        assert shown(port) == credential.certificate
    finally:
        gateway.kill()


def test_one_process_shows_the_certificate_that_there_is_when_it_starts(
    tmp_path: Path, upstream: ScriptedUpstream, credential: Renewed, go_on: threading.Event
) -> None:
    """O3, O4: a restart takes the port over at once, also while a stream had been on it."""
    gateway = GatewayProcess(tmp_path, upstream.sections(), environ=credential.environ)
    port = with_tls(gateway)
    try:
        gateway.start().wait_until_it_answers()
        client, certificate = connect(port)
        with client:
            assert certificate == credential.certificate
            client.post(CHAT, prompt(stream=True)).body_until(CHAT_EVENTS[1])
            credential.renew()
            assert shown(port) == certificate
            gateway.terminate()
            go_on.set()
            assert client.rest() == b"".join(CHAT_EVENTS[2:])
        gateway.wait()
        gateway.start().wait_until_it_answers()
        assert shown(port) == credential.certificate != certificate
    finally:
        gateway.kill()
