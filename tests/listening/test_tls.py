"""TLS on listeners, and what is said of keys and certificates that are wrong."""

from __future__ import annotations

import datetime
import shutil
import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from gateway.config import ConfigError, load
from gateway.config.advice import advice
from gateway.listening import ListenError, adopt, open_listener
from tests.listening.greeter import Greeter, stopped
from tests.process.certificates import Authority, make_authority, write_identity

CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority()


def split(path: Path) -> tuple[Path, Path]:
    """The key and the certificates of a file, in two of their own."""
    data = path.read_bytes()
    at = data.index(CERTIFICATE)
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    key.write_bytes(data[:at])
    certificate.write_bytes(data[at:])
    return key, certificate


def client(authority: Authority, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.write(folder / "ca.pem"))
    return context


async def ask(
    text: str,
    context: ssl.SSLContext,
    name: str | None = "localhost",
    environ: dict[str, str] | None = None,
) -> ssl.SSLSocket:
    """The connection of a client that asked for `name`, once it has been greeted; now closed."""

    def talk(address: tuple[str, int]) -> ssl.SSLSocket:
        with socket.create_connection(address[:2], timeout=20) as raw:
            sock = context.wrap_socket(raw, server_hostname=name)
            assert sock.recv(100) == b"hello"
            asked["peer"] = sock.getpeercert(binary_form=True)
            asked["version"], asked["alpn"] = sock.version(), sock.selected_alpn_protocol()
            return sock

    asked: dict[str, object] = {}
    with closing(open_listener(text)) as listener:
        port = adopt(reactor, listener, Greeter(b"hello"), environ or {})
        try:
            sock = await deferToThread(talk, listener.socket.getsockname())
        finally:
            await stopped(port)
    seen.clear()
    seen.update(asked)
    return sock


#: Of the last client that `ask` played: its peer's certificate, TLS version and protocol.
seen: dict[str, object] = {}


def shown(path: Path) -> bool:
    """Whether the last client was shown the certificate in `path`."""
    data = path.read_bytes()
    certificate = x509.load_pem_x509_certificate(data[data.index(CERTIFICATE) :])
    return seen["peer"] == certificate.public_bytes(serialization.Encoding.DER)


def ssl_text(**files: object) -> str:
    escaped = ":".join(
        f"{name}={str(path).replace(':', chr(92) + ':')}" for name, path in files.items()
    )
    return f"ssl:0:interface=127.0.0.1:{escaped}"


async def test_a_key_and_a_certificate_in_two_files(authority: Authority, tmp_path: Path) -> None:
    path = write_identity(tmp_path, authority)
    key, certificate = split(path)
    await ask(ssl_text(privateKey=key, certKey=certificate), client(authority, tmp_path))
    assert shown(path)


async def test_a_key_and_a_certificate_in_one_credential(
    authority: Authority, tmp_path: Path
) -> None:
    path = write_identity(tmp_path, authority)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    text = ssl_text(privateKey=f"credential:{path.name}")
    await ask(text, client(authority, tmp_path), environ=environ)
    assert shown(path)


@pytest.mark.parametrize("where", ["certKey", "extraCertChain"])
async def test_the_certificates_in_between_are_shown_too(
    where: str, authority: Authority, tmp_path: Path
) -> None:
    """Behind the certificate in its file, or in a file of their own: a client that knows the root
    alone takes the certificate then."""
    between = make_authority(authority)
    key, certificate = split(write_identity(tmp_path, between))
    knows_the_root = client(authority, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        await ask(ssl_text(privateKey=key, certKey=certificate), knows_the_root)
    chain = between.write(tmp_path / "between.pem")
    files = {"privateKey": key, "certKey": certificate}
    if where == "certKey":
        certificate.write_bytes(certificate.read_bytes() + chain.read_bytes())
    else:
        files["extraCertChain"] = chain
    await ask(ssl_text(**files), knows_the_root)
    assert shown(certificate)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)],
)
async def test_no_other_protocol_than_http_1_1_is_agreed_on(
    offered: list[str], chosen: str | None, authority: Authority, tmp_path: Path
) -> None:
    """Never h2, whatever is installed."""
    context = client(authority, tmp_path)
    if offered:
        context.set_alpn_protocols(offered)
    await ask(ssl_text(privateKey=write_identity(tmp_path, authority)), context)
    assert seen["alpn"] == chosen


async def test_a_client_of_http_2_alone_is_refused(authority: Authority, tmp_path: Path) -> None:
    """RFC 7301, 3.2: by an alert, before it sends what nobody here would understand."""
    context = client(authority, tmp_path)
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="ALERT"):
        await ask(ssl_text(privateKey=write_identity(tmp_path, authority)), context)


async def test_tls_1_1_is_refused_and_1_2_taken(authority: Authority, tmp_path: Path) -> None:
    text = ssl_text(privateKey=write_identity(tmp_path, authority))
    context = client(authority, tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    await ask(text, context)
    assert seen["version"] == "TLSv1.2"
    old = client(authority, tmp_path)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await ask(text, old)


async def test_the_certificate_is_read_anew_by_the_next_port(
    authority: Authority, tmp_path: Path
) -> None:
    """O3: a reload is enough to renew it."""
    path = tmp_path / "current.pem"
    for _ in range(2):
        fresh = write_identity(tmp_path, authority)
        shutil.copy(fresh, path)
        await ask(ssl_text(privateKey=path), client(authority, tmp_path))
        assert shown(fresh)


async def test_a_folder_has_the_certificate_for_each_name(
    authority: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    one = write_identity(folder, authority, "one.test")
    below = folder / "below"
    below.mkdir()
    any_ = write_identity(below, authority, "*.two.test")
    key, certificate = split(any_)
    any_.unlink()
    key.rename(below / "privkey.pem")  # apart, as ACME clients leave them
    certificate.rename(any_)
    text = rf"tls:{folder}:0:interface=\:\:1"
    context = client(authority, tmp_path)
    await ask(text, context, "one.test")
    assert shown(one)
    await ask(text, context, "B.two.test")
    assert shown(any_)
    context.check_hostname = False
    for name in ("a.b.two.test", "nobody.test", None):
        await ask(text, context, name)
        assert shown(min(one, any_))


# What is wrong.


def configuration(folder: Path, text: str) -> Path:
    path = folder / "gateway.ini"
    path.write_text(f"[gateway]\nlisten = {text}\ndemo = on\nstate_dir = {folder}\n")
    return path


def assert_refused(folder: Path, text: str, what: str, **environ: str) -> None:
    """By --check, and, had it been right then, by the start."""
    with pytest.raises(ConfigError) as caught:
        load(configuration(folder, text), environ)
    (problem,) = caught.value.problems
    assert what in problem.what
    assert (problem.section, problem.key, problem.line) == ("gateway", "listen", 2)
    with closing(open_listener(text)) as listener, pytest.raises(ListenError) as late:
        adopt(reactor, listener, Greeter(b""), environ)
    assert what.partition(", ")[0] in str(late.value)
    assert "PRIVATE" not in str(late.value)


def test_a_key_of_another_certificate(authority: Authority, tmp_path: Path) -> None:
    """O7: the message says what is wrong, and what would be right."""
    key, _ = split(write_identity(tmp_path, authority))
    _, certificate = split(write_identity(tmp_path, authority))
    what = f"the certificate in {certificate} does not belong to the private key in {key}, name two"
    assert_refused(tmp_path, ssl_text(privateKey=key, certKey=certificate), what)


def test_a_chain_that_begins_with_the_authority(authority: Authority, tmp_path: Path) -> None:
    """O7: RFC 8446, 4.4.2: the server's own comes first."""
    key, certificate = split(write_identity(tmp_path, authority))
    ca = authority.write(tmp_path / "ca.pem").read_bytes()
    certificate.write_bytes(ca + certificate.read_bytes())
    what = "the server's own certificate has to be the first in its file"
    with pytest.raises(ConfigError, match=what):
        load(configuration(tmp_path, ssl_text(privateKey=key, certKey=certificate)), {})


def test_a_key_that_is_encrypted(authority: Authority, tmp_path: Path) -> None:
    """O7: nobody is there to type a passphrase."""
    path = write_identity(tmp_path, authority, passphrase=b"secret")
    assert_refused(tmp_path, ssl_text(privateKey=path), f"the private key in {path} is encrypted")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "holds no private key in PEM format, name one that does"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "cannot be read, name one in PEM format",
        ),
    ],
)
def test_a_file_without_a_key(content: bytes, what: str, tmp_path: Path) -> None:
    """O7: the message says what is wrong, and what would be right."""
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    assert_refused(tmp_path, ssl_text(privateKey=path), what)


def test_a_file_without_a_certificate(authority: Authority, tmp_path: Path) -> None:
    """O7: the message says what is wrong, and what would be right."""
    key, certificate = split(write_identity(tmp_path, authority))
    certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert_refused(tmp_path, ssl_text(privateKey=key), "holds no certificate in PEM format, name")
    text = ssl_text(privateKey=key, certKey=certificate)
    assert_refused(tmp_path, text, f"a certificate in {certificate} cannot be read, name one")


def test_a_key_that_is_too_short_for_openssl(tmp_path: Path) -> None:
    """O7: which lengths are enough is OpenSSL's to say."""
    key = rsa.generate_private_key(65537, 1024)
    path = write_identity(tmp_path, None, key=key)
    assert_refused(tmp_path, ssl_text(privateKey=path), "cannot be used (ee key too small), name")


def test_parameters_that_are_none(authority: Authority, tmp_path: Path) -> None:
    """O7: the message says what is wrong, and what would be right."""
    path = write_identity(tmp_path, authority)
    text = ssl_text(privateKey=path, dhParameters=path)
    assert_refused(tmp_path, text, "holds no Diffie-Hellman parameters in PEM format, leave")


def test_a_folder_without_a_pair(authority: Authority, tmp_path: Path) -> None:
    """O7: the message says what is wrong, and what would be right."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    text = rf"tls:{folder}:0:interface=\:\:1"
    assert_refused(tmp_path, text, f"there is no certificate in {folder} whose private key is")
    split(write_identity(folder, authority))[0].unlink()
    for path in folder.glob("*.pem"):
        path.unlink()
    assert_refused(tmp_path, text, f"there is no certificate in {folder} whose private key is")


def test_a_credential_that_nobody_loads(tmp_path: Path) -> None:
    """O7: the message says what is wrong, and what would be right."""
    text = ssl_text(privateKey="credential:tls")
    assert_refused(tmp_path, text, "there are no credentials ($CREDENTIALS_DIRECTORY is not set)")
    load_it = "/tls cannot be read (No such file or directory), make it readable"
    assert_refused(tmp_path, text, load_it, CREDENTIALS_DIRECTORY=str(tmp_path))


@pytest.mark.parametrize(("days", "count"), [(-1, 1), (30, 0)])
def test_an_expired_certificate_is_advised_against(
    days: int, count: int, authority: Authority, tmp_path: Path
) -> None:
    """O7: it is no reason not to start, because the other listeners do well."""
    path = write_identity(tmp_path, authority, valid_for=datetime.timedelta(days=days))
    sentences = advice(load(configuration(tmp_path, ssl_text(privateKey=path)), {}), {})
    assert len(sentences) == count
    assert all(f"the certificate in {path} has expired on" in each for each in sentences)


def test_who_only_reads_the_ledger_needs_no_key(tmp_path: Path) -> None:
    """As with the keys of upstreams."""
    text = ssl_text(privateKey=tmp_path / "missing.pem")
    assert load(configuration(tmp_path, text), {}, secrets=False).gateway.listen == (text,)
