"""How an upstream is reached: an endpoint made once, TLS verified against roots and host name."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from OpenSSL import crypto
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from ..config.model import Upstream
from ..net.connecting import AddressEndpoint, TcpReactor

#: None of its own: `connect_timeout` is what ends an attempt.  (`IReactorTCP` says seconds, but its
#: connectors set no timer then.)
_ENDPOINT_TIMEOUT: Any = None


class CertificateFileError(ValueError):
    """The file named by ``ca`` holds no certificate that can be read."""


def endpoint_for(upstream: Upstream, reactor: Any) -> IStreamClientEndpoint:
    """The endpoint of `upstream`.

    The server's certificate is verified by service-identity for the host in the URL, against the
    system's roots or the upstream's own `ca`.  Raises `CertificateFileError`.
    """
    host, port = upstream.url.host, upstream.url.port
    endpoint: IStreamClientEndpoint
    try:
        ipaddress.ip_address(host)
    except ValueError:
        tcp = TcpReactor(reactor)
        endpoint = HostnameEndpoint(tcp, host, port, timeout=_ENDPOINT_TIMEOUT)
    else:
        endpoint = AddressEndpoint(host, port, reactor)
    if not upstream.url.secure:
        return endpoint
    roots = None
    if upstream.ca is not None:
        roots = trustRootFromCertificates(read_certificates(upstream.ca))
    return wrapClientTLS(optionsForClientTLS(host, trustRoot=roots), endpoint)


def read_certificates(path: Path) -> list[Certificate]:
    """Every certificate of a PEM file.  Raises `CertificateFileError` if there is none."""
    marker = b"-----BEGIN CERTIFICATE-----"
    try:
        blocks = path.read_bytes().split(marker)[1:]
        found = [Certificate.loadPEM(marker + block) for block in blocks]
    except (OSError, crypto.Error, ValueError) as error:
        raise CertificateFileError(f"{path} is not a readable PEM file: {error}") from error
    if not found:
        raise CertificateFileError(f"{path} holds no PEM certificate")
    return found
