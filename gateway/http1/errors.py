"""Two kinds of fault, never mixed: the peer's and our own."""

from __future__ import annotations


class ProtocolError(Exception):
    """HTTP/1.1 was not spoken as it should be."""


class LocalError(ProtocolError):
    """Our own code asked for something that would not be valid HTTP: a bug here."""


class RemoteError(ProtocolError):
    """The peer sent what HTTP/1.1 forbids or what our limits do not allow.

    `status` is the status to answer with when the peer is a client (400, 413, 414, 431, 501, 505);
    towards an upstream it has no meaning.  The text never quotes what the peer sent, because that
    may be a credential.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        #: Body bytes that were read before the fault was met, if it was met in a body.
        self.before = b""


class Truncated(RemoteError):
    """The peer ended its connection inside a message."""
