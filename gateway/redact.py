"""The one layer that takes secrets out of everything that people and files get to see.

Two nets: the secrets that this process knows (the upstreams' keys, and the credential of the
request at hand), in whatever text they turn up, and what looks like a credential: named as one
(``x-api-key: …``, ``?key=…``), in the form of a vendor's keys (``sk-…``), or masked by somebody
else, which leaves a part of it to be read.

Redact before a text is cut to a length: half of a known secret is not known any more.  Redacting
twice changes nothing.  Over-redaction is accepted where a text would have to be understood to
avoid it.

Who calls it: `redacting` wraps the process's log observer, tracebacks included; `Redactor.intent`
and `Redactor.record` make what a row may hold; `Redactor.redact` is for every other text;
bytes of an upstream's that go on to a client are `gateway.exchange.mask`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from msgspec.structs import replace
from twisted.logger import ILogObserver, LogEvent, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from .config.model import Config
from .journal.kinds import Kind
from .record import Intent, Record

HIDDEN: Final = "[redacted]"

#: Secrets with fewer characters are not searched for: what they are made of (``EMPTY``, ``ollama``,
#: as servers without authentication are given) stands in many texts and protects nothing.
SHORTEST: Final = 8

#: Written the same everywhere.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]+")

# The parts of the patterns below.
#
# A value, up to what ends it in a header, a query, JSON, HTML or a repr, which may have its own
# \r\n or \" behind it.  JSON may write / as \/.
_CHARACTER: Final = r"(?:[^\s'\"&,;<>()\[\]{}\\]|\\/)"
_VALUE: Final = rf"{_CHARACTER}+"
# A key's start: not in the middle of a word, but right behind %3D or a repr's \n.
_START: Final = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
# What keys are made of, masked ones too (sk-ab***yz, sk-ab...yz), but for a sentence's last dot.
_KEY: Final = r"(?:[\w*•…-]|\.(?=[\w*.]))"
_SCHEME: Final = r"(?:bearer|basic|token|api-?key)"
# What stands between a name and its value: ": ", "=", "': '", "\": \"", "', b'", "': [b'".
_IS: Final = (
    r"(?:\\?['\"]\s{0,4}[:=,]|\s{0,4}(?:provided\s{0,4}|is\s{0,4})?[:=])"
    r"\s{0,4}(?!\[redacted)\[?+(?:b?\\?['\"])?+"
)

#: What has to be in a text, in lower case, for a pattern to be worth trying, the pattern, and what
#: takes the place of a match.  All are linear in the text: it may be anybody's.
_PATTERNS: Final[tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...]] = tuple(
    (markers, re.compile(pattern, re.ASCII | flags), instead)
    for markers, pattern, flags, instead in (
        (  # a header, by name
            ("authorization", "x-api-key", "x-goog-api-key"),
            rf"((?:authorization|x-api-key|x-goog-api-key){_IS}(?:{_SCHEME}\s{{1,4}})?)"
            rf"(?!{_SCHEME}(?![\w-])){_VALUE}",
            re.IGNORECASE,
            rf"\1{HIDDEN}",
        ),
        (  # a secret, by name, in any text; what follows has to look like one
            ("key", "password", "secret", "access"),
            rf"((?<![A-Za-z0-9])(?:api[ _-]?key|password|secret|access[ _-]?token){_IS})"
            rf"(?={_CHARACTER}*[0-9*]|{_CHARACTER}{{16}}){_VALUE}",
            re.IGNORECASE,
            rf"\1{HIDDEN}",
        ),
        (
            ("bearer",),
            rf"(\bbearer\s{{1,4}})(?!(?:tokens?|auth\w*|realm|scheme|credentials?)\b){_VALUE}",
            re.IGNORECASE,
            rf"\1{HIDDEN}",
        ),
        (  # OpenAI, Anthropic, OpenRouter, DeepSeek and many more
            ("sk-",),
            rf"{_START}sk-{_KEY}{{4,}}",
            0,
            HIDDEN,
        ),
        (  # Google (three kinds), OpenAI's sessions, Bedrock, Groq, Cerebras, xAI, Perplexity,
            # Hugging Face, Replicate, NVIDIA, Fireworks; and JSON Web Tokens
            ("aiza", "aq.", "ya29.", "sess-", "absk", "gsk_", "csk-", "xai-", "pplx-", "hf_", "r8_",
             "nvapi-", "fw_", "eyj"),
            rf"{_START}(?:AIza|AQ\.|ya29\.|sess-|ABSK|gsk_|csk-|xai-|pplx-|hf_|r8_|nvapi-|fw_|eyJ)"
            rf"{_KEY}{{16,}}",
            0,
            HIDDEN,
        ),
        (  # AWS Signature Version 4
            ("signature=",),
            r"(\bsignature=)[0-9a-f]{32,}",
            re.IGNORECASE,
            rf"\1{HIDDEN}",
        ),
        (
            ("key=", "token="),
            rf"([?&;](?:key|api[_-]?key|access[_-]?token|token)=){_VALUE}",
            re.IGNORECASE,
            rf"\1{HIDDEN}",
        ),
        (  # user and password in a URL
            ("://",),
            r"(://)[^\s/@'\"<>\[\]]+@",
            0,
            rf"\1{HIDDEN}@",
        ),
        (  # masked by somebody else
            ("***",),
            r"(?<![\w-])[\w-]{1,300}\*{3,}[\w*-]*|(?<!\*)\*{3,}[\w-]+",
            0,
            HIDDEN,
        ),
    )
)  # fmt: skip

_ALL_MARKERS: Final = frozenset(marker for markers, _, _ in _PATTERNS for marker in markers)
#: Those that hold no other: where one is missing, so is what holds it.
_MARKERS: Final = tuple(
    marker
    for marker in sorted(_ALL_MARKERS)
    if not any(other in marker for other in _ALL_MARKERS - {marker})
)

#: The texts of a row that somebody else had a hand in.
FOREIGN_INTENT_TEXTS: Final = ("method", "path", "model_requested", "session", "user_agent")
FOREIGN_RECORD_TEXTS: Final = (
    "error_detail", "model_served", "stop_reason", "upstream_request_id", "usage_raw",
    "response_id", "tags",
)  # fmt: skip

_intent_texts: Final = attrgetter(*FOREIGN_INTENT_TEXTS)
_record_texts: Final = attrgetter(*FOREIGN_RECORD_TEXTS)

Row = TypeVar("Row", Intent, Record)
Texts = tuple[str | None, ...]


class Redactor:
    """Takes secrets out of texts.  Knows those it is given; its repr does not tell them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST}
        forms = {form for secret in known for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)  # one may be the beginning of another
        self._count = len(known)

    @classmethod
    def of(cls, config: Config) -> Self:
        """A redactor that knows the configuration's secrets."""
        secrets = [upstream.api_key for upstream in config.upstreams.values()]
        secrets.append(config.gateway.admin_token)
        if config.ledger.postgres is not None:
            secrets.append(config.ledger.postgres.password)
        return cls(secret.reveal() for secret in secrets if secret is not None)

    def knowing(self, credentials: Iterable[bytes]) -> Redactor:
        """One that takes the credentials of a request out of every text as well."""
        other = Redactor.__new__(Redactor)
        other._forms = [*self._forms, *_forms_of(credentials)]
        other._count = self._count
        return other

    def __repr__(self) -> str:
        return f"<Redactor of {self._count} secrets>"

    def redact(self, text: str, also: Iterable[bytes] = ()) -> str:
        """`text` without secrets.  Never raises.

        `also` are the credentials of the request at hand (`gateway.credentials.credentials_in`).
        """
        for form in (*self._forms, *_forms_of(also)) if also else self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return _without_patterns(text)

    def texts(self, texts: Texts, also: Iterable[bytes] = ()) -> Texts:
        """Several texts without secrets; the very same ones, if there were none in them."""
        together = "\n".join(filter(None, texts))
        if self.redact(together, also) == together:  # nearly always, so they share a look
            return texts
        return tuple([text and self.redact(text, also) for text in texts])

    def intent(self, intent: Intent, also: Iterable[bytes] = ()) -> Intent:
        """An intent that may be kept."""
        return self._clean(intent, FOREIGN_INTENT_TEXTS, _intent_texts(intent), also)

    def record(self, record: Record, also: Iterable[bytes] = ()) -> Record:
        """A record that may be kept; its intent was made so when it was written."""
        return self._clean(record, FOREIGN_RECORD_TEXTS, _record_texts(record), also)

    def _clean(self, row: Row, names: Iterable[str], texts: Texts, also: Iterable[bytes]) -> Row:
        """`row` with its `texts`, which have these `names`, free of secrets."""
        clean = self.texts(texts, also)
        if clean is texts:
            return row
        changed: dict[str, Any] = dict(zip(names, clean, strict=True))
        return replace(row, **changed)


def _without_patterns(text: str) -> str:
    lowered = text.lower()
    for marker in _MARKERS:  # a plain loop: this is all that happens to nearly every text
        if marker in lowered:
            break
    else:
        return text
    for markers, pattern, instead in _PATTERNS:
        if any(marker in lowered for marker in markers):
            text = pattern.sub(instead, text)
    return text


def _forms(secret: str) -> set[str]:
    """A secret as it stands in plain text, in a URL, in JSON and in a repr."""
    if _PLAIN.fullmatch(secret):
        return {secret}
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}


def _forms_of(credentials: Iterable[bytes]) -> list[str]:
    """All forms of credentials, which may have their scheme in front of them."""
    secrets = [credential.decode("latin-1").rpartition(" ")[2] for credential in credentials]
    return [form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST]


#: What of a log event goes on as it is; the text is made here, and says what the rest would.
_KEPT: Final = ("log_level", "log_namespace", "log_time", "isError")
#: What structured observers get besides.
_STRUCTURE: Final = frozenset({"kind", "record", "traceback", "code"})


@implementer(ILogObserver)
class _RedactingObserver:
    """See `redacting`."""

    def __init__(self, observer: ILogObserver, redactor: Redactor) -> None:
        self._observer = observer
        self._redactor = redactor
        self._structured: bool = getattr(observer, "structured", False)

    def __call__(self, event: LogEvent) -> None:
        """Pass on an event that holds no secret."""
        redact = self._redactor.redact
        clean: LogEvent = {name: event[name] for name in _KEPT if name in event}
        if self._structured:
            clean.update(self._structure(event))
        line = event.get("line")
        if isinstance(line, str) and "log_failure" not in event:  # one a request: the short way
            clean["log_format"], clean["line"] = "{line}", redact(line)
            self._observer(clean)
            return
        for name, value in event.items():
            if self._structured and name in _STRUCTURE:
                continue  # somebody else's field of that name
            if isinstance(value, str) and name != "log_format":
                clean[name] = redact(value)
            elif isinstance(value, int | float | None):
                clean[name] = value
        clean["log_format"] = "{log_redacted}"
        text, traceback = _text(event)
        if traceback is None:
            clean["log_redacted"] = redact(text)
        elif self._structured:
            clean["log_redacted"], clean["traceback"] = redact(text), redact(traceback)
        else:
            clean["log_redacted"] = redact(f"{text}\n{traceback}")
        self._observer(clean)

    def _structure(self, event: LogEvent) -> LogEvent:
        """What of an event is no text and is known to hold no secret."""
        found: LogEvent = {}
        kind, record, failure = event.get("kind"), event.get("record"), event.get("log_failure")
        if isinstance(kind, Kind):
            found["kind"] = kind
        if isinstance(record, Record):
            intent = self._redactor.intent(record.intent)
            if intent is not record.intent:
                record = replace(record, intent=intent)
            found["record"] = self._redactor.record(record)
        if isinstance(failure, Failure) and failure.frames:
            function, file, line, *_ = failure.frames[-1]
            found["code"] = (file, line, function)
        return found


def redacting(observer: ILogObserver, redactor: Redactor) -> ILogObserver:
    """`observer` behind a layer that takes secrets out of every event.

    What it gets are events with the text as it would have been written, traceback included, and
    those of the fields that are plain text or numbers, redacted; no object whose repr or attributes
    could tell more.

    An observer whose ``structured`` is true gets, besides, the ``record`` of a settled request, the
    record's ``kind``, and of a failure its ``traceback`` (then not part of the text) and ``code``:
    the file, the line and the function that it came from.
    """
    return _RedactingObserver(observer, redactor)


def _text(event: LogEvent) -> tuple[str, str | None]:
    """An event's text, and its traceback."""
    failure = event.get("log_failure")
    try:
        return formatEvent(event), None if failure is None else failure.getTraceback()
    except Exception as error:
        # Foreign objects make that text.  One that cannot be shown must not end the log.
        return f"a log event could not be shown ({type(error).__name__})", None
