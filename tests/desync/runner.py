"""Puts cases to a gateway over real sockets and judges what it did with them.

A case is right if what `Case.held_to` expects has followed, and in any case
- no request reached the upstream that was none (`SMUGGLED`), and no answer that was none a client
  (`POISON`);
- everything that the gateway wrote, both ways, is strict HTTP;
- every answer went to whoever had asked for it: on the same connection, in order, and on others;
- the gateway then answers a plain request on a new connection, and logged no traceback.

Nothing here takes longer than the gateway does, but for two waits: `GRACE` behind an answer that
ends its connection, in which anything more would have to come, and `SILENCE`, after which the
gateway is held to be waiting for more, which only a case that is not whole may make it do.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.desync.case import POISON, Case, Expect
from tests.desync.strict import Answer, Answers, Request, Unclean
from tests.desync.upstream import PAUSE, Script, Upstream
from tests.process.gateway_process import GatewayProcess

GRACE = 0.04
SILENCE = 2.0
#: Seconds for all cases together, several times of what they take: once most of them wait for
#: `SILENCE`, the rest tells nothing more.
BOUND = 55.0

_REFUSALS = frozenset({*range(400, 500), 501, 505})
_NEVER_TOLD = (POISON, b"RAWBYTES")
_SENTINEL, _CONTROL, _ASKED, _SAME, _OTHER = (
    b"/sentinel", b"/control", b"/asked", b"/on-the-same", b"/on-another"
)  # fmt: skip


class Client:
    """One connection to the gateway, and what came back on it."""

    def __init__(self, port: int, first_method: bytes) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = Answers(first_method)
        self.ended = False  #: the gateway closed or reset the connection
        self.silent = False  #: it did neither that nor answer, for `SILENCE`

    def send(self, *pieces: bytes) -> None:
        """Send the pieces one by one; the gateway may stop taking them at any time."""
        with suppress(OSError):  # what it answered, if it did, is still to be read
            for index, piece in enumerate(pieces):
                if index:
                    time.sleep(PAUSE)
                self.sock.sendall(piece)

    def ask(self, target: bytes, method: bytes = b"GET", *, last: bool = False) -> None:
        """Send a plain request."""
        close = b"Connection: close\r\n" if last else b""
        self.send(b"%b %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (method, target, close))

    def finish_sending(self) -> None:
        """End our side of the connection."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.ended = True

    def receive(self, seconds: float) -> bool:
        """Take what comes next; False if nothing did, or the connection has ended."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(1 << 20)
        except TimeoutError:
            return False
        except ConnectionResetError:
            data = b""
        self.ended = not data
        self.got.feed(data)
        return not self.ended

    def answer(self, number: int) -> Answer | None:
        """The answer with this number, waited for until it is whole; None if it never is."""
        while not self.ended:
            if len(self.got.answers) > number and self.got.answers[number].whole:
                break
            if not self.receive(SILENCE) and not self.ended:
                self.silent = True
                break
        answers = self.got.answers
        return answers[number] if len(answers) > number and answers[number].whole else None


@contextmanager
def connected(port: int, first_method: bytes = b"GET") -> Iterator[Client]:
    """A client, closed at the end."""
    client = Client(port, first_method)
    try:
        yield client
    finally:
        client.sock.close()


@dataclass
class Report:
    """What is wrong with how a case went; nothing, if all is well."""

    case: Case
    faults: list[str] = field(default_factory=list)

    def check(self, right: bool, fault: str) -> None:
        """Note a fault where something is not right."""
        if not right:
            self.faults.append(fault)


class Runner:
    """Runs cases, one at a time, against one gateway in front of one upstream."""

    def __init__(self, gateway: GatewayProcess, upstream: Upstream) -> None:
        self._gateway = gateway
        self._upstream = upstream
        self._port = gateway.port
        self._logged = 0
        self._until = time.monotonic() + BOUND

    def _begin(self, case: Case) -> Report:
        if time.monotonic() > self._until:
            raise AssertionError(f"the cases before this one have taken {BOUND} s together")
        self._upstream.forget()
        return Report(case)

    def run_request(self, case: Case) -> Report:
        """A client sends the case's bytes."""
        report = self._begin(case)
        first = case.wire[0]
        with connected(self._port, b"HEAD" if first.startswith(b"HEAD ") else b"GET") as client:
            client.send(*case.wire)
            if case.ends:
                client.finish_sending()
            try:
                self._listen(client, ended=case.ends)
            except Unclean as fault:
                report.faults.append(f"the client got {fault}")
            self._control(report)
            own = (_SENTINEL, _CONTROL)
            reached = [one for one in self._upstream.requests if one.target not in own]
            _judge_request(report, client, reached)
        self._judge_always(report)
        return report

    def _listen(self, client: Client, *, ended: bool) -> None:
        """Until the connection is over, and everything that was begun on it is answered.

        Where the gateway keeps the connection, a last request of ours is sent behind the case's
        bytes: once it is answered, or refused, nothing of the case is left to be answered.
        """
        asked = ended
        while not client.ended:
            last = client.got.last
            closes = last is not None and client.got.between and last.closes
            if client.got.between and not closes and not asked:
                asked = True
                client.ask(_SENTINEL, last=True)
            if client.receive(GRACE if closes else SILENCE) or client.ended:
                continue
            client.silent = not closes
            if ended:
                return
            ended = asked = True
            client.finish_sending()

    def run_response(self, case: Case) -> Report:
        """The upstream answers with the case's bytes."""
        report = self._begin(case)
        script = Script(case.wire, ends=case.ends)
        self._upstream.play(script)
        told = b""
        with connected(self._port, case.method) as client:
            client.ask(_ASKED, case.method)
            try:
                answer = client.answer(0)
                report.check(script.played.wait(SILENCE), "the upstream was not asked")
                _judge_response(report, client, answer)
                if answer is not None and not answer.closes:
                    client.ask(_SAME)
                    same = client.answer(1)
                    # Whoever may be failed may be closed on, too, but not told anything wrong.
                    if same is not None or case.held_to is not Expect.EITHER:
                        _judge_echo(report, same, _SAME, "on the same connection")
                told = bytes(client.got.raw)
                with connected(self._port) as other:
                    other.ask(_OTHER, last=True)
                    _judge_echo(report, other.answer(0), _OTHER, "on another connection")
                    told += other.got.raw
            except Unclean as fault:
                report.faults.append(f"the client got {fault}")
        for text in _NEVER_TOLD:
            report.check(text not in told, f"a client got {text!r}")
        self._control(report)
        _judge_retirement(report, self._upstream.requests)
        self._judge_always(report)
        return report

    def _control(self, report: Report) -> None:
        with connected(self._port) as client:
            client.ask(_CONTROL, last=True)
            _judge_echo(report, client.answer(0), _CONTROL, "on a new connection")

    def _judge_always(self, report: Report) -> None:
        for fault in self._upstream.faults:
            report.faults.append(f"the upstream got {fault}")
        log = self._gateway.output
        new, self._logged = log[self._logged :], len(log)
        report.check("Traceback" not in new and "Unhandled" not in new, f"logged: {new}")
        report.check(self._gateway.process.poll() is None, "the gateway ended")


def _judge_request(report: Report, client: Client, reached: list[Request]) -> None:
    case, got = report.case, client.got
    finals = [answer for answer in got.answers if answer.whole]
    first = finals[0].status if finals else None
    texts = [request.text for request in reached]
    report.check(not client.silent, f"the gateway waited for more, after {first}")
    for request in reached:
        report.check(b"smuggled" not in request.target, f"smuggled: {request.text[:80]!r}")
        for text in case.absent:
            report.check(text not in request.head, f"{text!r} was passed on")
    report.check(got.interims.count(100) <= 1, "more than one 100 was sent")
    old = b" HTTP/1.0\r\n" in case.wire[0][:200]
    report.check(not (old and got.interims), "HTTP/1.0 was sent an interim response")
    own = [answer.fields.get(b"asked") for answer in finals if answer.status == 200]
    order = [target for target in own if target != _SENTINEL]
    report.check(
        order == [request.target for request in reached][: len(order)],
        f"the answers {order} are not in the order of {texts}",
    )
    if case.held_to is Expect.REFUSED:
        report.check(first is None or first in _REFUSALS, f"was answered {first}")
        report.check(not reached, f"{texts} reached the upstream")
    elif case.held_to is Expect.FORWARDED:
        report.check(first is not None and 200 <= first < 300, f"was answered {first}")
        report.check(bool(reached), "nothing reached the upstream")
    elif case.held_to is Expect.CUT:
        report.check(first is None or first >= 300, f"was answered {first}")
        report.check(not reached, f"{texts} reached the upstream")
    if case.arrives is not None:
        report.check(texts == list(case.arrives), f"{texts} reached the upstream")


def _judge_response(report: Report, client: Client, answer: Answer | None) -> None:
    case = report.case
    report.check(not client.silent, "the client was left waiting")
    failed = answer is None or answer.status == 502
    text = "a broken answer" if answer is None else f"{answer.status} {bytes(answer.body[:80])!r}"
    if case.held_to in (Expect.FAILED, Expect.CUT):
        report.check(failed, f"the client got {text}")
    elif case.held_to is Expect.FORWARDED:
        report.check(answer is not None and answer.status == case.status, f"the client got {text}")
    if answer is not None and not failed and case.arrives is not None:
        report.check((bytes(answer.body),) == case.arrives, f"the client got {text}")
    for word in case.absent:
        report.check(word not in client.got.raw.lower(), f"{word!r} was passed on")


def _judge_retirement(report: Report, requests: list[Request]) -> None:
    """A connection that broke a rule may do so again: nobody else's request goes there."""
    case = report.case
    if case.retired or case.held_to in (Expect.FAILED, Expect.CUT):
        used = [one.target for one in requests if one.connection == requests[0].connection]
        report.check(used == [_ASKED], f"{used} were asked on one connection")


def _judge_echo(report: Report, answer: Answer | None, target: bytes, where: str) -> None:
    right = answer is not None and answer.status == 200 and bytes(answer.body) == target
    told = None if answer is None else (answer.status, bytes(answer.body[:80]))
    report.check(right, f"a plain request {where} was answered {told}")
