"""Why an upstream could not be asked, or did not answer as it should."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.python.failure import Failure

from ..record import ErrorCode


class UpstreamError(Exception):
    """A failure with the ledger's `code` for it; the text is for people and holds no secret."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def classify(failure: Failure, *, established: bool) -> UpstreamError:
    """What a failed or lost connection means.

    `established`: the connection had been made, TLS included.
    """
    reason = failure.value
    if isinstance(reason, UpstreamError):
        return reason
    if isinstance(reason, VerificationError):
        return UpstreamError(ErrorCode.TLS, "the certificate is not for this host")
    if isinstance(reason, SSL.Error):
        return UpstreamError(ErrorCode.TLS, _openssl_text(reason))
    if isinstance(reason, error.DNSLookupError):
        return UpstreamError(ErrorCode.DNS, "the host name could not be resolved")
    if isinstance(reason, error.ConnectionRefusedError):
        return UpstreamError(ErrorCode.CONNECT_REFUSED, "the upstream refused the connection")
    if isinstance(reason, (error.TimeoutError, error.TCPTimedOutError)) and not established:
        return UpstreamError(ErrorCode.CONNECT_TIMEOUT, "the connection attempt timed out")
    if established and isinstance(reason, error.ConnectionDone):
        return UpstreamError(ErrorCode.RESET, "the upstream closed the connection")
    if established:
        return UpstreamError(ErrorCode.RESET, "the upstream's connection was reset")
    return UpstreamError(ErrorCode.CONNECT_FAILED, f"no connection could be made: {reason}")


def _openssl_text(reason: SSL.Error) -> str:
    entries = reason.args[0] if reason.args and isinstance(reason.args[0], list) else []
    texts = [entry[-1] for entry in entries if entry and entry[-1]]
    return f"TLS failed: {'; '.join(texts) or 'the handshake was cut off'}"
