"""TLS of a listener: its key and certificates, read when its port is adopted.

TLS 1.2 and later, with Twisted's choice of ciphers.  A client that offers protocols gets HTTP/1.1,
which is all that is spoken here (ALPN, RFC 7301).

``tls:`` chooses by the name that a client asks for (RFC 6066, 3).  Twisted's own endpoint of that
kind reads its whole folder again, in the reactor, for every name that it does not know, and any
client may send such names; here the folder is read once, and a reload reads it anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, DiffieHellmanParameters
from twisted.python.filepath import FilePath

from ..config.certificate import Identity, load_folder, load_identity
from ..config.endpoint import Endpoint, file_named
from ..config.problem import BadValue
from .errors import ListenError

#: Kinds of endpoints that speak TLS.
TLS_KINDS: Final = frozenset({"ssl", "tls"})


def connection_creator(
    text: str, endpoint: Endpoint, environ: Mapping[str, str]
) -> CertificateOptions:
    """What makes the server's side of each connection.  Raises `ListenError`."""
    try:
        if endpoint.kind == "tls":
            return _by_name(load_folder(endpoint))
        identity = load_identity(endpoint, environ)
        given = endpoint.arguments.get("dhParameters")
        if given is None:
            return _options(identity)
        parameters = FilePath(str(file_named(given, environ)))
        return _options(identity, dhParameters=DiffieHellmanParameters.fromFile(parameters))
    except BadValue as error:
        reason, _, hint = str(error).rpartition(", ")
        raise ListenError(text, reason, hint) from error


def _options(identity: Identity, **more: Any) -> CertificateOptions:
    return CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(identity.key),
        certificate=crypto.X509.from_cryptography(identity.certificate),
        extraCertChain=[crypto.X509.from_cryptography(each) for each in identity.chain],
        acceptableProtocols=[b"http/1.1"],
        **more,
    )


def _by_name(identities: tuple[Identity, ...]) -> CertificateOptions:
    """The first is shown to clients that ask for no name, or for one that is nobody's."""
    contexts: dict[bytes, SSL.Context] = {}
    for identity in identities:
        context = _options(identity).getContext()
        for name in identity.names:
            contexts.setdefault(name.encode("ascii", "ignore"), context)

    def context_for(name: bytes | None) -> SSL.Context | None:
        if name is None:
            return None
        name = name.lower()
        # A wildcard stands for one label, the leftmost (RFC 6125, 6.4.3).
        return contexts.get(name) or contexts.get(b"*." + name.partition(b".")[2])

    return _options(identities[0], contextForServerName=context_for)
