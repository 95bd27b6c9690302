"""The Resource that every request to the gateway is rendered by: look into it, open an exchange."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from .coding import CodingError, TooLarge
from .dedup import Dedup
from .dialects.base import BadRequest
from .exchange.exchange import Exchange
from .exchange.services import Services
from .front.request import Request
from .front.verdict import Door
from .inspection import inspect
from .intents import Intents
from .journal.kinds import Kind
from .match import Match
from .upstream.pool import Pool

_log = Logger(namespace="gateway.proxy")


class ReverseProxy(Resource):
    """See the module's text.  Requests have passed `gateway.door.FrontDoor`."""

    isLeaf = True

    def __init__(
        self,
        services: Services,
        door: Door,
        pools: Mapping[str, Pool],
        intents: Intents,
        dedup: Dedup,
    ) -> None:
        """`pools` are by the upstreams' names."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._services = services
        self._door = door
        self._pools = pools
        self._intents = intents
        self._dedup = dedup

    def render(self, request: Request) -> int:
        """Open an exchange for a request whose body is there, or on its way."""
        match = request.context
        assert isinstance(match, Match)
        size = request.body_size
        try:
            seen = inspect(request, match)
        except (BadRequest, CodingError) as error:
            return self._reject(request, 400, str(error))
        except TooLarge as error:
            return self._reject(request, 413, str(error))
        except Exception:
            what = "{request}: an error in the gateway itself"
            _log.failure(what, request=request, kind=Kind.INTERNAL_ERROR)
            return self._reject(request, 500, "an error in the gateway itself")
        intent = self._intents.of(match, seen.peek, size)
        pool = self._pools[match.route.upstream.name]
        if match.route.dedup and self._dedup.take(request, match, seen, pool, intent):
            return NOT_DONE_YET
        Exchange(self._services, match, pool, seen, request, intent).start()
        return NOT_DONE_YET

    def _reject(self, request: Request, status: int, message: str) -> int:
        """Answer a request whose body is there with a refusal."""
        refusal = self._door.refuse(request, status, message)
        request.respond(refusal.status, refusal.body, refusal.pairs)
        return NOT_DONE_YET
