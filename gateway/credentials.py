"""Credentials of clients: where a request carries one, whose it is, and where it may go on to.

There is one resolver, so that no two parts of the gateway can take a request for two people's.  A
credential is carried by the fields of `CARRIERS`, or by the query parameter ``key``, which Google's
API reads; where a field has no one meaning, a request that carries two different ones is nobody's.

No text or repr that comes from here shows a credential.  Nothing here knows of sockets; the proxy
asks at a request's head, and once for each upstream at start.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from .config.model import Client, Family
from .http1 import Fields

_AUTHORIZATION: Final = b"authorization"

#: The fields that carry a credential to one API or another, in lower case and in the order in which
#: they are looked at.  ``api-key`` is Azure's field for OpenAI's API.
CARRIERS: Final = (_AUTHORIZATION, b"x-api-key", b"x-goog-api-key", b"api-key")

#: The carriers that an API reads (vendors' API references); of the others it is not known.
_READ_BY: Final[Mapping[Family, tuple[bytes, ...]]] = {
    Family.ANTHROPIC: (b"x-api-key", _AUTHORIZATION),
    Family.OPENAI: (_AUTHORIZATION, b"api-key"),
    Family.OLLAMA: (_AUTHORIZATION,),
    Family.GEMINI: (b"x-goog-api-key", _AUTHORIZATION),
}
#: All carriers, in the order in which they are looked at for an API.
_ORDER: Final = {
    family: tuple(dict.fromkeys((*_READ_BY.get(family, ()), *CARRIERS))) for family in Family
}
#: The families that read ``?key=``, or of which it is not known.
_READS_QUERY: Final = frozenset({Family.GEMINI, Family.GENERIC, Family.BEDROCK})

#: AWS Signature Version 4 sends no secret, and another signature each time; what stays is the name
#: of the access key.
_AWS_KEY_ID: Final = re.compile(rb"AWS4-[A-Z0-9-]+ (?:.*[ ,])?Credential=([^/, ]+)", re.IGNORECASE)


class ConflictingCredentials(ValueError):
    """A request carries different credentials; the text says so without showing any."""

    def __init__(self) -> None:
        super().__init__(
            "the request carries several credentials that differ "
            "(Authorization, x-api-key, x-goog-api-key, api-key or ?key=), send one"
        )


def credential_of(fields: Fields, target: bytes) -> bytes | None:
    """The one credential of a request, None if it has none.  Raises `ConflictingCredentials`."""
    found = credentials_in(fields, target)
    if len(found) > 1:
        raise ConflictingCredentials
    return found[0] if found else None


def credentials_in(
    fields: Fields, target: bytes, family: Family = Family.GENERIC
) -> tuple[bytes, ...]:
    """Every credential of a request, each once: those first that an API of `family` reads first.

    A token is the same in every carrier: ``Authorization`` without ``Bearer`` (RFC 6750, 2.1; some
    clients leave the word out), ``?key=`` percent-decoded.  Credentials of other schemes, such as
    Basic, stand for themselves and keep the scheme's name, so that none is ever taken for a token.
    """
    found: dict[bytes, None] = {}  # for its order
    names = fields.names
    for name in _ORDER[family]:
        if name not in names:
            continue
        for value in fields.get_all(name):
            found[_from_authorization(value) if name == _AUTHORIZATION else value] = None
    query = target.partition(b"?")[2]
    for parameter in query.split(b"&") if query else ():
        name, _, value = parameter.partition(b"=")
        if unquote_to_bytes(name) == b"key":
            found[unquote_to_bytes(value)] = None
    found.pop(b"", None)
    return tuple(found)


def _from_authorization(value: bytes) -> bytes:
    scheme, space, rest = value.partition(b" ")
    if not space:
        return b"" if scheme.lower() == b"bearer" else scheme
    if scheme.lower() == b"bearer":
        return rest.strip(b" \t")
    if aws := _AWS_KEY_ID.match(value):
        return b"aws4 " + aws[1]
    return scheme.lower() + b" " + rest.strip(b" \t")


class Clients:
    """The clients of the configuration, found by what they send.

    The table is keyed by a hash under a key that only this process knows, so that neither the time
    of a look-up nor what leaks of it says how much of a wrong credential was right.
    """

    def __init__(self, clients: Iterable[Client], process_key: bytes) -> None:
        """`process_key` is random, at most 64 bytes."""
        self._key = process_key
        self._names = {self._place(client.digest): client.name for client in clients}

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Clients {' '.join(sorted(self._names.values()))}>"

    def identify(self, credential: bytes) -> str | None:
        """The name of the client whose key this is, or None."""
        return self._names.get(self._place(hashlib.sha256(credential).digest()))

    def _place(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, key=self._key, digest_size=32).digest()


def tenant_name(credential: bytes, key: bytes) -> str:
    """A name for whoever sent a credential: the same each time, and nothing of it in the name.

    Nobody without `key`, which is kept, can try out credentials against names.
    """
    return hashlib.blake2b(credential, key=key, digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Withheld:
    """What of a client's credentials does not go on to an upstream."""

    fields: frozenset[bytes]  #: names, in lower case
    query_key: bool  #: whether ``?key=`` goes, too: see `without_key`


def withheld(family: Family, *, has_own_key: bool, clients_configured: bool) -> Withheld:
    """What is taken out of requests to an upstream of `family`.

    Everything, where the upstream has a key of the gateway's own, or where clients are configured:
    what they send is a secret between them and the gateway.  Else clients bring the upstream's own
    credentials, and what belongs to another family's API stays here.
    """
    if has_own_key or clients_configured:
        return Withheld(frozenset(CARRIERS), True)
    read = _READ_BY.get(family, CARRIERS)
    return Withheld(frozenset(CARRIERS).difference(read), family not in _READS_QUERY)


def without_key(target: bytes) -> bytes:
    """A request target without its query parameter ``key``; the rest stays byte for byte.

    Where nothing else was in the query, its question mark goes, too.
    """
    path, mark, query = target.partition(b"?")
    if not query:
        return target
    kept = [parameter for parameter in query.split(b"&") if not _is_key(parameter)]
    return path + mark + b"&".join(kept) if kept else path


def redacted_target(target: bytes) -> str:
    """A request target for people: the value of ``key`` in its query is not shown."""
    path, mark, query = target.partition(b"?")
    shown = (
        parameter.partition(b"=")[0] + b"=[redacted]" if _is_key(parameter) else parameter
        for parameter in query.split(b"&")
    )
    return (path + mark + b"&".join(shown)).decode("latin-1")


def _is_key(parameter: bytes) -> bool:
    return unquote_to_bytes(parameter.partition(b"=")[0]) == b"key"
