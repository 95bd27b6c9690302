"""The keys and certificates that ``ssl:`` and ``tls:`` endpoints name, read and judged.

``ssl:`` names files: `privateKey`, and, where they are not in the same one, `certKey` with the
certificate, `extraCertChain` with those between it and an authority (without it: what follows the
certificate in its file), `dhParameters`.  ``tls:`` names a folder of ``.pem`` files, from which
each client is shown the certificate for the name that it asks for (RFC 6066, 3).

A file may be ``credential:NAME``: what systemd put into ``$CREDENTIALS_DIRECTORY`` (LoadCredential=
of systemd.exec(5)).  Nothing that is reported from here repeats anything of a key.

Called by `checks` and, each time a port is adopted, by `gateway.listening.tls`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL

from .endpoint import Endpoint, file_named
from .problem import BadValue

#: What certificates of TLS servers are made for.
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey

_KEY: Final = re.compile(
    rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----\s.*?-----END \1-----", re.DOTALL
)
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key, the certificate that belongs to it, and those between it and an authority."""

    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    path: Path  #: the certificate's file

    @property
    def names(self) -> tuple[str, ...]:
        """The names of hosts that it is for, in lower case (RFC 6125, 6.4)."""
        try:
            extension = self.certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            )
        except (x509.ExtensionNotFound, ValueError):
            return ()
        return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))


def load_identity(endpoint: Endpoint, environ: Mapping[str, str]) -> Identity:
    """What an ``ssl:`` endpoint names.  Raises `BadValue`."""
    arguments = endpoint.arguments
    key_path = file_named(arguments["privateKey"], environ)
    path = file_named(arguments.get("certKey", arguments["privateKey"]), environ)
    key = _only_key(key_path)
    certificate, *chain = _certificates_of(path)
    if _public(certificate.public_key()) != _public(key.public_key()):
        raise BadValue(
            f"the certificate in {path} does not belong to the private key in {key_path}, "
            "name two that do; the server's own certificate has to be the first in its file"
        )
    if "extraCertChain" in arguments:
        chain = _certificates_of(file_named(arguments["extraCertChain"], environ))
    if "dhParameters" in arguments:
        _check_parameters(file_named(arguments["dhParameters"], environ))
    return _usable(Identity(key, certificate, tuple(chain), path))


def load_folder(endpoint: Endpoint) -> tuple[Identity, ...]:
    """What the folder of a ``tls:`` endpoint holds, by file name, folders below it included.

    A certificate counts where it is the first in its file, and the key to it is in the folder, too.
    Raises `BadValue` if no certificate does.
    """
    folder = Path(endpoint.arguments["path"])
    if not folder.is_dir():
        raise BadValue(f"{folder} is no folder, name one that holds .pem files")
    contents = [(path, _read(path)) for path in sorted(folder.rglob("*.pem")) if path.is_file()]
    keys = {}
    for path, data in contents:
        for key in _keys(path, data):
            keys[_public(key.public_key())] = key
    found: dict[bytes, Identity] = {}
    for path, data in contents:
        certificates = _certificates(path, data)
        if not certificates:
            continue
        mine = keys.get(_public(certificates[0].public_key()))
        if mine is None:
            continue
        identity = Identity(mine, certificates[0], tuple(certificates[1:]), path)
        fingerprint = certificates[0].public_bytes(Encoding.DER)
        # The same certificate may stand in several files, alone and with its chain.
        if fingerprint not in found or len(identity.chain) > len(found[fingerprint].chain):
            found[fingerprint] = _usable(identity)
    if not found:
        raise BadValue(
            f"there is no certificate in {folder} whose private key is there, too, "
            "put both there in files whose names end in .pem"
        )
    return tuple(found.values())


def identities(endpoint: Endpoint, environ: Mapping[str, str]) -> Sequence[Identity]:
    """Everything that an endpoint shows to clients; nothing where it is not TLS."""
    if endpoint.kind == "ssl":
        return (load_identity(endpoint, environ),)
    return load_folder(endpoint) if endpoint.kind == "tls" else ()


def dates(identity: Identity, now: datetime.datetime) -> str | None:
    """What is wrong with a certificate's time, as a sentence, or None.

    No reason not to start: what clients make of it is theirs, and the other listeners serve.
    """
    certificate = identity.certificate
    if now > certificate.not_valid_after_utc:
        day = certificate.not_valid_after_utc.date()
        return f"the certificate in {identity.path} has expired on {day}; renew it and reload"
    if now < certificate.not_valid_before_utc:
        day = certificate.not_valid_before_utc.date()
        return f"the certificate in {identity.path} is not valid before {day}; is the clock right?"
    return None


def _usable(identity: Identity) -> Identity:
    """What OpenSSL accepts: it has a view of its own of lengths and algorithms."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    try:
        context.use_privatekey(identity.key)
        context.use_certificate(identity.certificate)
    except (SSL.Error, TypeError, ValueError) as error:
        reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
        why = ", ".join(str(reason[-1]) for reason in reasons) or "it is of an unknown kind"
        raise BadValue(
            f"the certificate in {identity.path} cannot be used ({why}), "
            "name one of a kind that clients accept, such as ECDSA P-256 or RSA of 2048 bits"
        ) from None
    return identity


def _only_key(path: Path) -> PrivateKey:
    key = next(_keys(path, _read(path)), None)
    if key is None:
        raise BadValue(f"{path} holds no private key in PEM format, name one that does")
    return key


def _keys(path: Path, data: bytes) -> Iterator[PrivateKey]:
    for match in _KEY.finditer(data):
        try:
            key = load_pem_private_key(match[0], password=None)
        except TypeError:  # says cryptography's documentation
            raise BadValue(
                f"the private key in {path} is encrypted, and nobody is there to type its "
                "passphrase; take it off (openssl pkey -in FILE -out NEW) and keep others from "
                "reading the file"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise BadValue(
                f"the private key in {path} cannot be read, name one in PEM format"
            ) from None
        if not isinstance(key, PrivateKey):
            raise BadValue(f"the private key in {path} is none for TLS, name an ECDSA or RSA key")
        yield key


def _certificates_of(path: Path) -> list[x509.Certificate]:
    found = _certificates(path, _read(path))
    if not found:
        raise BadValue(f"{path} holds no certificate in PEM format, name one that does")
    return found


def _certificates(path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return [x509.load_pem_x509_certificate(match[0]) for match in _CERTIFICATE.finditer(data)]
    except ValueError:
        raise BadValue(f"a certificate in {path} cannot be read, name one in PEM format") from None


def _check_parameters(path: Path) -> None:
    _read(path)
    try:
        SSL.Context(SSL.TLS_SERVER_METHOD).load_tmp_dh(str(path))
    except SSL.Error:
        raise BadValue(
            f"{path} holds no Diffie-Hellman parameters in PEM format, leave dhParameters out"
        ) from None


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadValue(
            f"{path} cannot be read ({error.strerror}), make it readable or name another"
        ) from None
