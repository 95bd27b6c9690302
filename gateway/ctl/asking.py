"""Asks a running gateway, over its admin listener, by treq."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ..config import builtin, load
from ..config.endpoint import parse_endpoint
from .arguments import UsageError

#: The environment variable that holds the token where no configuration is named.
TOKEN: Final = "GATEWAY_ADMIN_TOKEN"
#: Seconds for an answer.
_PATIENCE: Final = 15.0

T = TypeVar("T")


class AskError(Exception):
    """The gateway was not asked, or would not answer; the text says what would be right.

    `gone`: nothing listens there.
    """

    def __init__(self, text: str, *, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


@dataclass(frozen=True, slots=True)
class Place:
    """Where an admin listener is: a URL without a path, or a Unix socket."""

    url: str
    socket: str | None
    token: str | None
    said_by: str  #: what named it

    @property
    def shown(self) -> str:
        """As people are told."""
        return self.url if self.socket is None else f"unix:{self.socket}"


def add_place(parser: argparse.ArgumentParser) -> None:
    """``--admin``."""
    parser.add_argument(
        "--admin",
        metavar="URL",
        help="where the gateway's admin listener is, such as http://127.0.0.1:8081 or "
        f"unix:/run/gateway/admin (default: as --config says). ${TOKEN} is the token where the "
        "configuration names none",
    )


def place_of(arguments: argparse.Namespace) -> Place:
    """The admin listener that is meant; raises `UsageError` and `ConfigError`."""
    token = os.environ.get(TOKEN) or None
    if arguments.admin is not None:
        if arguments.config is not None:
            config = load(arguments.config, secrets=False, admin=True)
            known = config.gateway.admin_token
            token = token if known is None else known.reveal()
        return _named(arguments.admin, token)
    if arguments.config is None:
        config = builtin()
    else:
        config = load(arguments.config, secrets=False, admin=True)
    if config.gateway.admin_token is not None:
        token = config.gateway.admin_token.reveal()
    text = config.gateway.admin
    if text is None:
        raise UsageError(f"{config.source} has admin = off: there is nothing to ask")
    endpoint = parse_endpoint(text)
    port = endpoint.arguments.get("port", "443")
    if endpoint.kind == "systemd" or port == "0":
        raise UsageError(f"where {text} is cannot be told from {config.source}, name it by --admin")
    if endpoint.kind == "unix":
        return Place("http://localhost", endpoint.arguments["address"], token, config.source)
    host = endpoint.arguments.get("interface") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if endpoint.kind in ("ssl", "tls") else "http"
    return Place(f"{scheme}://{host}:{port}", None, token, config.source)


def _named(text: str, token: str | None) -> Place:
    if text.startswith("unix:/"):
        return Place("http://localhost", text.removeprefix("unix:"), token, "--admin")
    url = text.rstrip("/")
    scheme, separator, rest = url.partition("://")
    if scheme not in ("http", "https") or not separator or not rest or "/" in rest:
        raise UsageError(
            f"argument --admin: {text!r} is no such place, write one such as "
            "http://127.0.0.1:8081 or unix:/run/gateway/admin"
        )
    return Place(url, None, token, "--admin")


class Asker:
    """Asks one admin listener."""

    def __init__(self, place: Place, reactor: Any) -> None:
        # Here, because commands that only read a ledger need none of it.
        from treq.client import HTTPClient
        from twisted.internet.endpoints import UNIXClientEndpoint
        from twisted.web.client import Agent
        from twisted.web.iweb import IAgentEndpointFactory
        from zope.interface import implementer

        @implementer(IAgentEndpointFactory)
        class _Socket:
            def endpointForURI(self, uri: object) -> UNIXClientEndpoint:  # noqa: N802
                return UNIXClientEndpoint(reactor, place.socket, timeout=_PATIENCE)

        agent = (
            Agent(reactor, connectTimeout=_PATIENCE)
            if place.socket is None
            else Agent.usingEndpointFactory(reactor, _Socket())
        )
        self.place = place
        self._client = HTTPClient(agent)

    async def get(self, path: str) -> dict[str, Any]:
        """What there is; raises `AskError`."""
        return await self._ask("GET", path)

    async def post(self, path: str) -> dict[str, Any]:
        """Have something done; raises `AskError`."""
        return await self._ask("POST", path)

    async def _ask(self, method: str, path: str) -> dict[str, Any]:
        from twisted.internet.defer import CancelledError, TimeoutError
        from twisted.internet.error import ConnectError
        from twisted.web.client import ResponseFailed

        place = self.place
        fields: dict[bytes | str, bytes | str]
        fields = {} if place.token is None else {"Authorization": f"Bearer {place.token}"}
        try:
            response = await self._client.request(
                method, place.url + path, headers=fields, timeout=_PATIENCE, allow_redirects=False
            )
            body = await response.content()
        except ConnectError as error:
            raise AskError(
                f"{place.shown}: nothing listens there ({_reason(error)}); is the gateway running, "
                f"and is this its admin listener? {place.said_by} says so",
                gone=True,
            ) from None
        except (ResponseFailed, CancelledError, TimeoutError) as error:
            gone = isinstance(error, ResponseFailed)
            raise AskError(f"{place.shown}: no answer ({_reason(error)})", gone=gone) from None
        try:
            answer = json.loads(body)
            # Only errors of an admin listener have their status in them.
            failed = _message(answer, response.code) if response.code >= 400 else None
        except (ValueError, KeyError, TypeError):
            raise AskError(
                f"{place.shown}: this is no gateway's admin listener (it answered "
                f"{response.code}); is it the port of admin, and not one of listen?"
            ) from None
        if failed is not None and response.code == 401:
            what = "it asks for a token" if place.token is None else "it takes another token"
            raise AskError(
                f"{place.shown}: {what}; name its configuration by --config, or put the one that "
                f"its admin_token names into ${TOKEN}"
            )
        if failed is not None:
            raise AskError(f"{place.shown}: {failed}")
        told: dict[str, Any] = answer
        return told


def _message(answer: Any, status: int) -> str:
    """The words of an error of an admin listener; raises KeyError, TypeError and ValueError."""
    error = answer["error"]
    if error["status"] != status:
        raise ValueError("another status")
    return str(error["message"])


def _reason(error: Exception) -> str:
    """The innermost words of an error of Twisted's."""
    reasons = getattr(error, "reasons", None)
    if reasons:
        return str(reasons[0].value)
    return str(error) or type(error).__name__


def ask(arguments: argparse.Namespace, question: Callable[[Asker, Any], Awaitable[T]]) -> T:
    """Run a reactor for one question, which is given an `Asker` and the reactor.

    Raises what it raises, `UsageError`, and KeyboardInterrupt if the reactor is stopped by Ctrl-C.
    """
    place = place_of(arguments)
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    reactor: Any = installed
    results: list[T | Failure] = []

    async def run() -> T:
        return await question(Asker(place, reactor), reactor)

    def begin() -> None:
        asked = Deferred.fromCoroutine(run())
        asked.addBoth(results.append)
        asked.addBoth(lambda _: reactor.stop() if reactor.running else None)

    reactor.callWhenRunning(begin)
    reactor.run()
    if not results:
        raise KeyboardInterrupt
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result
