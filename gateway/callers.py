"""Who asks: the credential, the tenant and the address of a request, judged at its head.

Where clients are configured, only those are served.  Where none are, everybody who reaches the
gateway is, and what names a tenant is a keyed hash of the credential that goes on to the upstream.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from twisted.internet.address import IPv4Address, IPv6Address

from .config.model import Client, Family, Proxy
from .credentials import (
    CARRIERS,
    Clients,
    ConflictingCredentials,
    credentials_in,
    tenant_name,
)
from .forwarded import Origin, TrustedProxies, is_loop, origin_of, pseudonym
from .front.request import Request
from .http1 import Fields

_NO_KEY: Final = (
    "this gateway serves its own clients only: send the key that you were given, "
    "as you would send one of the API's"
)
_WRONG_KEY: Final = "the key is none of this gateway's clients'"
#: Addresses that name a host; the other end of a Unix socket has none.
_INTERNET: Final = (IPv4Address, IPv6Address)


class Caller(Struct, frozen=True):
    """Whose request it is, and from where."""

    tenant: str | None
    origin: Origin
    credentials: tuple[bytes, ...]

    def __repr__(self) -> str:
        # Without the credentials.
        return f"<Caller {self.tenant} at {self.origin.client}>"


class NotServed(Exception):
    """A request that nobody known has sent, or whose sender cannot be told: 401 or 400."""

    def __init__(self, status: int, message: str, caller: Caller) -> None:
        super().__init__(message)
        self.status = status
        self.caller = caller


class Callers:
    """See the module's text."""

    def __init__(
        self, clients: Iterable[Client], trusted: Iterable[Proxy], key: bytes, process_key: bytes
    ) -> None:
        """`key` is the state directory's, and names tenants; `process_key` is random."""
        self._clients = Clients(clients, process_key)
        self._trusted = TrustedProxies(trusted)
        self._key = key
        #: What this instance calls itself in Via.
        self.pseudonym = pseudonym(key)
        #: Whether only configured clients are served.
        self.configured = len(self._clients) > 0

    def came_back(self, fields: Fields) -> bool:
        """Whether a request has passed this instance before: its configuration makes a loop."""
        return is_loop(fields, self.pseudonym)

    def identify(self, request: Request, family: Family) -> Caller:
        """The caller of a request to an upstream of `family`.  Raises `NotServed`."""
        fields = request.head.fields
        credentials = credentials_in(fields, request.head.target, family)
        assert request.channel is not None
        scheme = b"https" if request.channel.isSecure() else b"http"
        peer = request.client.host if isinstance(request.client, _INTERNET) else None
        origin = origin_of(peer, fields, scheme, self._trusted)
        if not self.configured:
            tenant = tenant_name(credentials[0], self._key) if credentials else None
            caller = Caller(tenant, origin, credentials)
        else:
            tenant = self._clients.identify(credentials[0]) if len(credentials) == 1 else None
            caller = Caller(tenant, origin, credentials)
            if len(credentials) > 1:
                raise NotServed(400, str(ConflictingCredentials()), caller)
            if tenant is None:
                raise NotServed(401, _WRONG_KEY if credentials else _NO_KEY, caller)
        if not fields.distinct:
            _check_carriers(fields, caller)
        return caller


def _check_carriers(fields: Fields, caller: Caller) -> None:
    for name in CARRIERS:
        if len(fields.get_all(name)) > 1:  # a server could read either (RFC 9110, 5.3)
            raise NotServed(400, f"the header {name.decode()} came twice, send it once", caller)
