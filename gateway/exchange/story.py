"""What an exchange tells of itself: its record, a glance while it runs, and texts fit to be shown.

Nothing here decides or acts: it is asked by the exchange, and by those who look at it from outside.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..dialects.base import Peek
from ..match import Match
from ..record import Intent, Phase, Record
from .deadlines import Moments
from .glance import Glance
from .life import Ending, Signal
from .recipient import Recipient
from .reply import Reply
from .services import Services
from .settled import Course, settled
from .voice import Voice

#: How much of a provider's words is shown, in characters.
LONGEST_TEXT: Final = 1000


class Story(Struct, eq=False):
    """See the module's text."""

    _services: Services
    _match: Match
    _intent: Intent
    peek: Peek  #: of the request; of one that is passed on while it comes, in the end
    _request: Recipient
    _moments: Moments
    _voice: Voice
    _reply: Reply
    attempts: int = 0  #: to ask the upstream

    def record(self, ending: Ending, tags: str | None) -> Record:
        """The settled record; `tags` are those of the operator's hooks."""
        intent = self._intent
        if self._request.upload is not None:
            intent = replace(
                intent,
                request_bytes=self._request.upload.size,
                model_requested=self._model(),
                stream=self.peek.stream,
            )
        wall = self._services.wall()
        record = settled(intent, ending, wall, self._course(), replay=self.peek.replay)
        if tags is not None:
            record = replace(record, tags=tags)
        return self._services.redactor.record(record, self._match.caller.credentials)

    def least(self, ending: Ending) -> Record:
        """A record of what cannot be wrong, where the whole one cannot be made."""
        wall = self._services.wall()
        return Record(self._intent, wall, ending.outcome, ending.phase, ending.error)

    def glance(self, phase: Phase, *, client_left: bool) -> Glance:
        """How far it has come."""
        intent, upload = self._intent, self._request.upload
        return Glance(
            phase=phase,
            model=intent.model_requested if upload is None else self._model(),
            request_bytes=intent.request_bytes if upload is None else upload.size,
            course=self._course(),
            client_left=client_left,
        )

    def shown(self, ending: Ending, signal: Signal) -> tuple[Ending, Signal]:
        """Both, with texts as clients, rows and logs get them: without secrets, not too long."""
        if ending.detail is not None:
            ending = replace(ending, detail=self._shown(ending.detail))
        if signal.provider_kind is not None or signal.provider_code is not None:
            signal = replace(
                signal,
                provider_kind=self._shown(signal.provider_kind),
                provider_code=self._shown(signal.provider_code),
            )
        return ending, signal

    def _shown(self, text: str | None) -> str | None:
        if text is None:
            return None
        # Redacted first: half of a secret is not known any more.
        credentials = self._match.caller.credentials
        return self._services.redactor.redact(text, credentials)[:LONGEST_TEXT]

    def _model(self) -> str | None:
        """The model that a body asks for which is passed on while it comes."""
        return self._match.redactor.redact(self.peek.model) if self.peek.model else None

    def _course(self) -> Course:
        reply = self._reply
        return Course(
            moments=self._moments,
            relay=reply.relay,
            status=reply.status,
            request_id=reply.request_id,
            status_sent=self._request.status_sent,
            attempts=self.attempts,
            connected=self._moments.connected,
            ended=self._services.clock.seconds(),
            paused_seconds=reply.paused_seconds,
            keepalives=self._voice.beats,
        )
