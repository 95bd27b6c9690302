"""Heads as hooks see them, and what a hook may change in one.

Invariants: no field is set that frames a message, concerns one connection, or carries the gateway's
own key; nothing is set that could not stand in a head (RFC 9110, 5.5); no repr shows a value.  What
is not allowed raises `NotAllowed` where the hook does it, so that its traceback names the line, and
changes nothing.  What was changed before holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ..http1 import HeadLimits
from ..http1.fields import HOP_BY_HOP
from ..http1.grammar import CONTROL, is_token
from ..record import Intent

Pair = tuple[bytes, bytes]

#: Fields of a request that are no hook's: they frame it, or say what the gateway itself needs.
REQUEST_PROTECTED: Final = HOP_BY_HOP | {
    b"host", b"content-length", b"content-encoding", b"expect", b"accept-encoding", b"via",
}  # fmt: skip
#: Fields of a response that are no hook's: they frame it, or say how its bytes are to be read.
RESPONSE_PROTECTED: Final = HOP_BY_HOP | {b"content-length", b"content-encoding"}

#: Bytes of one value.
LONGEST_VALUE: Final = 8 * 1024
_LIMITS: Final = HeadLimits()

TAG_NAME: Final = re.compile(r"[a-z0-9_]{1,40}")
LONGEST_TAG: Final = 200  #: characters
MOST_TAGS: Final = 16  #: a request

#: The status of a refusal that gave one that no refusal can have.
_REFUSED: Final = 403


class NotAllowed(ValueError):
    """A change that no hook may make, or that comes too late; the text says what would be right."""


class Headers:
    """Header fields in their order; names are looked up without regard to case."""

    def __init__(self, pairs: Iterable[Pair], protected: frozenset[bytes]) -> None:
        """`protected` are the names, in lower case, that may not be changed."""
        self._pairs = list(pairs)
        self._protected = protected
        self._closed: str | None = None
        self.changed = False

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw])

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __repr__(self) -> str:
        # Names only: values hold credentials.
        return f"<Headers {' '.join(name for name, _ in self)}>"

    def get(self, name: str) -> str | None:
        """The first value of the field `name`; None if there is none."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Every value of the field `name`, in order."""
        return [value for known, value in self if known.lower() == name.lower()]

    def set(self, name: str, value: str) -> None:
        """Have `value` as the only one of the field.  Raises `NotAllowed`."""
        key, pair = self._checked(name, value)
        kept = [pair for pair in self._pairs if pair[0].lower() != key]
        self._put([*kept, pair])

    def add(self, name: str, value: str) -> None:
        """Add a field, besides those of the same name.  Raises `NotAllowed`."""
        self._put([*self._pairs, self._checked(name, value)[1]])

    def remove(self, name: str) -> None:
        """Take every field of that name away, if there is any.  Raises `NotAllowed`."""
        key = self._name(name).lower()
        self._put([pair for pair in self._pairs if pair[0].lower() != key])

    # What the gateway calls.

    @property
    def raw(self) -> list[Pair]:
        """The fields as they are now."""
        return self._pairs

    @property
    def closed(self) -> bool:
        """Whether changes come too late."""
        return self._closed is not None

    def close(self, why: str) -> None:
        """Take no changes any more; `why` tells a hook that comes too late."""
        self._closed = why

    def _put(self, pairs: list[Pair]) -> None:
        if self._closed is not None:
            raise NotAllowed(self._closed)
        if len(pairs) > max(_LIMITS.fields, len(self._pairs)):
            raise NotAllowed(f"a head has no more than {_LIMITS.fields} header fields")
        self._pairs = pairs
        self.changed = True

    def _checked(self, name: str, value: str) -> tuple[bytes, Pair]:
        """The name in lower case, and the field."""
        raw_name = self._name(name)
        if not isinstance(value, str):
            raise NotAllowed(f"the value of {name} is of {type(value)}, it must be a str")
        try:
            raw = value.encode("latin-1").strip(b" \t")
        except UnicodeEncodeError:
            raise NotAllowed(f"the value of {name} has characters outside of Latin-1") from None
        if CONTROL.search(raw):
            raise NotAllowed(f"the value of {name} has a line break or another control character")
        if len(raw) > LONGEST_VALUE:
            raise NotAllowed(f"the value of {name} is longer than {LONGEST_VALUE} bytes")
        return raw_name.lower(), (raw_name, raw)

    def _name(self, name: str) -> bytes:
        try:
            raw = name.encode("ascii")
        except (AttributeError, UnicodeEncodeError):
            raw = b""
        # A name with "_" is the same as one with "-" to servers that make variables of names.
        if not is_token(raw) or b"_" in raw or len(raw) > _LIMITS.name:
            raise NotAllowed(f"{str(name)[:40]!r} is no name of a header field")
        if raw.lower() in self._protected:
            raise NotAllowed(f"{name} is the gateway's own business, no hook changes it")
        return raw


@dataclass(slots=True)
class Notes:
    """What hooks say of one request."""

    tags: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None  #: status and message

    def tags_json(self) -> str | None:
        """The tags as a JSON object; None if there are none."""
        return json.dumps(self.tags, ensure_ascii=False) if self.tags else None


@dataclass(frozen=True, slots=True, eq=False)
class RequestHead:
    """A request on its way to its upstream; only `headers` can be changed."""

    id: str  #: of the row
    method: str
    path: str  #: as the client sent it, without the query
    target: str = field(repr=False)  #: what the upstream is asked for; its query may hold a key
    route: str
    upstream: str
    dialect: str
    tenant: str | None
    model: str | None  #: None where the request names none, or its body is not looked into
    stream: bool  #: whether a stream was asked for, as far as is known
    client: str  #: address
    #: The fields for the upstream, without those that carry a key of the gateway's own.
    headers: Headers
    _notes: Notes = field(repr=False)

    @classmethod
    def of(cls, intent: Intent, target: bytes, headers: Headers, notes: Notes) -> RequestHead:
        """The request of `intent`."""
        return cls(
            id=intent.id,
            method=intent.method,
            path=intent.path,
            target=target.decode("latin-1"),
            route=intent.route,
            upstream=intent.upstream,
            dialect=intent.dialect,
            tenant=intent.tenant,
            model=intent.model_requested,
            stream=intent.stream,
            client=intent.client,
            headers=headers,
            _notes=notes,
        )

    def tag(self, name: str, text: str) -> None:
        """Write `text` into the row, under `name`.  Raises `NotAllowed`.

        Names are of a-z, 0-9 and _, up to 40; texts up to 200 printable characters; 16 a request.
        """
        tags = self._notes.tags
        if not isinstance(name, str) or TAG_NAME.fullmatch(name) is None:
            raise NotAllowed(f"{str(name)[:40]!r} is no tag's name, which is of a-z, 0-9 and _")
        if not isinstance(text, str) or not text.isprintable() or len(text) > LONGEST_TAG:
            raise NotAllowed(
                f"the tag {name} is no text of up to {LONGEST_TAG} printable characters"
            )
        if name not in tags and len(tags) == MOST_TAGS:
            raise NotAllowed(f"a request has no more than {MOST_TAGS} tags")
        tags[name] = text

    def refuse(self, status: int, message: str) -> None:
        """Answer the client with an error, in its dialect's shape, in place of asking the upstream.

        `status` is from 400 to 599, `message` for people.  The first refusal holds, also one that
        was not said rightly: that is answered with 403, and raises `NotAllowed` as well.
        """
        if self.headers.closed:
            raise NotAllowed("it is too late to refuse the request")
        right = type(status) is int and 400 <= status <= 599 and isinstance(message, str)
        if self._notes.refusal is None:
            said = (status, message) if right else (_REFUSED, "refused by the operator")
            self._notes.refusal = said
        if not right:
            raise NotAllowed("refuse takes a status from 400 to 599 and a text; 403 is sent")


@dataclass(frozen=True, slots=True, eq=False)
class ResponseHead:
    """An upstream's answer on its way to the client; only `headers` can be changed."""

    status: int
    #: A keepalive has begun the client's stream already: no change of `headers` reaches it.
    begun: bool
    headers: Headers
    request: RequestHead

    def tag(self, name: str, text: str) -> None:
        """See `RequestHead.tag`."""
        self.request.tag(name, text)
