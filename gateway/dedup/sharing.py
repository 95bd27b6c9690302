"""What becomes of a request to a route with ``dedup``: it leads, it joins, or it gets a replay.

Every request has a row of its own.  The leader's is its exchange's, which waits for the leader and
for the upstream, whichever is over last; a follower's waits for the answer that it was given whole,
since how that ended is how the follower did.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from msgspec import structs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from ..exchange.completion import complete
from ..exchange.exchange import Exchange
from ..exchange.hooked import Hooked
from ..exchange.life import Signal
from ..exchange.services import Services
from ..exchange.story import LONGEST_TEXT
from ..front.request import Request
from ..inspection import Inspection
from ..match import Match
from ..record import Intent, Outcome, Record
from ..upstream.pool import Pool
from .audience import Audience
from .eligible import is_eligible
from .key import key_of
from .listener import Listener
from .recording import End, Recording
from .rows import Parting, followers, leaders
from .store import Store
from .tools import ends_with_tool_results


class Dedup:
    """See the module's text."""

    def __init__(self, services: Services, memory: int) -> None:
        """`memory`: how many bytes all answers may take together."""
        self._services = services
        self._store: Store[Listener] = Store(memory)
        self._secret = os.urandom(32)
        self._expiry: IDelayedCall | None = None

    @property
    def used(self) -> int:
        """Bytes that are held."""
        return self._store.used

    def take(
        self, request: Request, match: Match, seen: Inspection, pool: Pool, intent: Intent
    ) -> bool:
        """Answer `request`, unless it is one that cannot have its answer in common with others."""
        if not is_eligible(request, match.dialect):
            return False
        key = key_of(
            self._secret,
            tenant=match.caller.tenant,
            credentials=match.caller.credentials,
            route=match.route.name,
            head=request.head,
            body=request.body,
            variant=b"usage asked for" if seen.asks_usage else b"",
        )
        found = self._store.find(key, self._services.clock.seconds())
        if found is None:
            self._lead(request, match, seen, pool, intent, key)
        else:
            self._follow(request, match, intent, found)
        return True

    # The first of its kind.

    def _lead(
        self,
        request: Request,
        match: Match,
        seen: Inspection,
        pool: Pool,
        intent: Intent,
        key: bytes,
    ) -> None:
        services = self._services
        recording = self._store.begin(key, intent.id)
        lifetime = _lifetime(request, match)
        parted: Deferred[Listener] = Deferred()
        listener = self._listener(request, match, recording, intent, parted.callback, leads=True)
        audience = Audience(request, recording, self._store)

        def settled(record: Record) -> Record | Deferred[Record]:
            self._answer_over(audience, recording, record, lifetime)
            if listener.course is None:
                services.running.add(listener)  # the exchange is no longer among them
            return parted.addCallback(self._leaders_row, record)

        audience.exchange = Exchange(
            replace(services, links=(("dedup", settled), *services.links)),
            # Each listener has that deadline of its own.
            structs.replace(match, route=replace(match.route, client_write_timeout=None)),
            pool,
            seen,
            audience,
            intent,
        )
        listener.begin()
        audience.exchange.start()

    def _leaders_row(self, listener: Listener, record: Record) -> Record:
        self._services.running.discard(listener)
        assert listener.course is not None
        return leaders(record, listener.course)

    def _answer_over(
        self, audience: Audience, recording: Recording[Listener], record: Record, lifetime: float
    ) -> None:
        """The exchange is over: keep its answer if it is one to keep, and tell who waits for it."""
        if recording.end is None:
            audience.abort()  # everybody has left already
        audience.body = []
        audience.release_body()
        recording.record = record
        well = record.outcome is Outcome.FINISHED and recording.end is End.WHOLE
        if well and record.status_upstream == record.status_sent == 200 and audience.sound:
            self._store.store(recording, self._services.clock.seconds(), lifetime)
            self._expire()
        else:
            self._store.let_go(recording)
        waiting, recording.when_settled = recording.when_settled, []
        for told in waiting:
            told()

    def _expire(self) -> None:
        """Forget what has lived its life, and come back when the next has."""
        if self._expiry is not None and self._expiry.active():
            self._expiry.cancel()
        now = self._services.clock.seconds()
        moment = self._store.expire(now)
        self._expiry = None
        if moment is not None:
            self._expiry = self._services.clock.callLater(moment - now, self._expire)

    # Those that follow.

    def _follow(
        self, request: Request, match: Match, intent: Intent, recording: Recording[Listener]
    ) -> None:
        services = self._services
        intent = structs.replace(intent, answer_of=recording.id)
        replay = recording.completed is not None
        request.body = []
        request.release_body()

        hooks = services.hooks
        hooked = None if hooks is None else Hooked(hooks, match, request, intent)

        def settle(listener: Listener) -> None:
            course = listener.course
            assert course is not None
            row = followers(intent, course, services.wall(), recording.record, replay=replay)
            if hooked is not None:
                row = structs.replace(row, tags=hooked.tags())
            row = services.redactor.record(row, match.caller.credentials)
            complete(row, services.links)

        def over(listener: Listener) -> None:
            services.running.discard(listener)
            if hooked is not None:
                hooked.stop()
            assert listener.course is not None
            if listener.course.parting is Parting.WITH_ALL and recording.record is None:
                recording.when_settled.append(lambda: settle(listener))
            else:
                settle(listener)

        listener = self._listener(request, match, recording, intent, over, leads=False)
        services.running.add(listener)

        def refused(signal: Signal) -> None:
            text = services.redactor.redact(signal.detail or "", match.caller.credentials)
            listener.refuse(Parting.HOOK, text[:LONGEST_TEXT], signal.status)

        def unwritten(failure: Failure) -> None:
            why = f"the ledger does not take rows: {failure.getErrorMessage()}"
            listener.refuse(Parting.NO_LEDGER, why)

        def begin(_: object) -> None:
            if hooked is None or listener.course is not None:
                listener.begin()
            else:
                hooked.ask(listener.begin, refused)

        services.ledger.open(intent).addCallbacks(begin, unwritten)

    def _listener(
        self,
        request: Request,
        match: Match,
        recording: Recording[Listener],
        intent: Intent,
        over: Callable[[Listener], None],
        *,
        leads: bool,
    ) -> Listener:
        return Listener(
            request,
            match.dialect,
            recording,
            self._store,
            self._services.clock,
            match.route.client_write_timeout,
            intent,
            over,
            leads=leads,
        )


def _lifetime(request: Request, match: Match) -> float:
    """How many seconds the answer to a request is given again."""
    route = match.route
    longer = route.dedup_tool_results
    if longer <= route.dedup or b"content-encoding" in request.head.fields:
        return route.dedup
    return longer if ends_with_tool_results(match.dialect.name, request.body) else route.dedup
