"""Who may ask the admin listener: judged at a request's head, as `gateway.front` does it.

In this order: the host, against DNS rebinding; then, but for `OPEN`, the page that asks (a browser
says which) and the token.  There are no CORS headers: no page of another origin is to read anything
here.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Final

from twisted.logger import Logger

from ..config.model import Config, Secret
from ..front.request import Request
from ..front.verdict import Admission, Refusal
from ..hosts import AllowedHosts, hosts_for
from ..http1 import Framing

_log = Logger(namespace="gateway.admin")

#: What may be asked without a token.
OPEN: Final = frozenset((b"/healthz", b"/readyz"))
#: On every answer: none is to be kept, and none is anything else than it says.
FIELDS: Final = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
)
#: Bytes of a request's body: nothing that can be asked for has one.
_MAX_BODY: Final = 4096
#: What a browser says of requests that no other page had a part in (Fetch Metadata, 2.1).
_OWN_SITES: Final = (b"same-origin", b"none")


def hosts_of(config: Config) -> tuple[AllowedHosts, ...]:
    """What the admin listener answers to: on loopback always loopback's names, besides those that
    are configured.

    On loopback and without a token ``*`` is none of them: it would let in whatever page has its own
    name resolve to loopback.
    """
    if config.gateway.admin is None:
        return ()
    own = hosts_for(config.gateway.admin, None)
    configured = config.gateway.allowed_hosts
    if configured is None:
        return (own,)
    if own.permits(b"any.example"):
        return (AllowedHosts(configured),)
    if config.gateway.admin_token is None:
        configured = tuple(host for host in configured if host != "*")
    return own, AllowedHosts(configured)


def error_body(status: int, message: str) -> bytes:
    """An error as all answers here tell it."""
    return json.dumps({"error": {"status": status, "message": message}}).encode("ascii") + b"\n"


class AdminDoor:
    """A `gateway.front.verdict.Door`.  See the module's text."""

    def __init__(self, hosts: Sequence[AllowedHosts], token: Secret | None) -> None:
        self._hosts = hosts
        self._token = None if token is None else token.reveal().encode("ascii")

    def admit(self, request: Request, framing: Framing) -> Admission | Refusal:
        """Let in, or say why not."""
        fields = request.head.fields
        host = fields.get(b"host")
        if not any(hosts.permits(host) for hosts in self._hosts):
            name = "" if host is None else host.decode("latin-1")
            message = f"the admin listener does not answer to the host {name}; see allowed_hosts"
            return self.refuse(request, 421, message)
        if request.head.path in OPEN:
            return Admission(_MAX_BODY)
        if self._is_foreign(request):
            message = "a web page of another origin may not ask the admin listener"
            return self.refuse(request, 403, message)
        if not self._has_token(request):
            message = "send the token that admin_token names: Authorization: Bearer TOKEN"
            return self.refuse(request, 401, message)
        return Admission(_MAX_BODY)

    @staticmethod
    def _is_foreign(request: Request) -> bool:
        """Whether a browser sent this for a page that did not come from here.

        Stricter than in front of upstreams, where a page of another port is the operator's own
        affair: Origin is the very host that was asked, or not there (RFC 6454, 7).
        """
        fields = request.head.fields
        site = fields.get(b"sec-fetch-site")
        if site is not None and site not in _OWN_SITES:
            return True
        origin = fields.get(b"origin")
        if origin is None:
            return False
        return origin.partition(b"://")[2].lower() != (fields.get(b"host") or b"").lower()

    def _has_token(self, request: Request) -> bool:
        if self._token is None:
            return True
        given = request.head.fields.get_all(b"authorization")
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)

    def refuse(self, request: Request | None, status: int, message: str) -> Refusal:
        """The answer to a request that goes no further (`request` None: no head came)."""
        _log.info(
            "refused with {status}: {message} ({what})",
            status=status,
            message=message,
            what="no head" if request is None else repr(request),
        )
        pairs = FIELDS if status != 401 else (*FIELDS, (b"WWW-Authenticate", b"Bearer"))
        return Refusal(status, error_body(status, message), pairs)

    def ended(self, request: Request) -> None:
        """Nothing is kept of requests."""
