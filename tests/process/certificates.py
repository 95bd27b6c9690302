"""Certificates for servers over TLS: good ones, and each way in which one can be wrong."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Whoever signs: a certificate of its own, and the key to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, path: Path) -> Path:
        """Write the certificate, for those who are to trust it."""
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path


def make_authority(above: Authority | None = None) -> Authority:
    """A new authority, which signed for itself or has been signed for by another."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = "Test Authority" if above is None else "Test Authority In Between"
    return Authority(_signed(name, key, above, None, valid_for=30 * _DAY), key)


def server_context(
    folder: Path,
    authority: Authority | None,
    name: str = "localhost",
    valid_for: datetime.timedelta = 30 * _DAY,
) -> ssl.SSLContext:
    """The TLS of a server called `name`; without an `authority` it has signed for itself.

    The certificate began to be valid two days ago; `valid_for` counts from now.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_identity(folder, authority, name, valid_for))
    return context


def write_identity(
    folder: Path,
    authority: Authority | None,
    name: str = "localhost",
    valid_for: datetime.timedelta = 30 * _DAY,
    passphrase: bytes | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> Path:
    """A new file with the key and the certificate of a server; see `server_context`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(name, key, authority, name, valid_for)
    path = folder / f"{certificate.serial_number:x}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _signed(
    common_name: str,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    authority: Authority | None,
    host: str | None,
    valid_for: datetime.timedelta,
) -> x509.Certificate:
    """A certificate for `host`, or, without one, of an authority."""
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if authority is None else authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(now + valid_for)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key if authority is None else authority.key, hashes.SHA256())
