"""What is lost is counted, whoever logs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from twisted.logger import LogEvent, Logger, LogLevel

from gateway.journal import LossyObserver


def _nothing() -> None:
    pass


class Slow(LossyObserver):
    """Takes its time over each record; `meanwhile` happens in the middle of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.meanwhile: Callable[[], object] = _nothing

    def _write(self, event: LogEvent) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, _nothing
        meanwhile()
        self.written.append(str(event["log_format"]).format(**event))
        return True


def test_a_signal_handler_that_logs_in_the_middle_of_a_record_does_not_wait_for_it() -> None:
    """O6: it would wait for ever."""
    observer = Slow()
    log = Logger("gateway.test", observer=observer)
    observer.meanwhile = lambda: log.info("from a handler")
    done = threading.Thread(target=log.info, args=("first",), daemon=True)
    done.start()
    done.join(10)
    assert not done.is_alive()
    assert observer.written == ["first"]
    assert observer.dropped == 1
    log.info("second")
    assert observer.written[1].startswith("1 log records were lost")
    assert observer.written[2] == "second"


def test_a_record_of_another_thread_waits_for_its_turn() -> None:
    observer = Slow()
    log = Logger("gateway.test", observer=observer)
    other = threading.Thread(target=log.info, args=("other",))
    observer.meanwhile = other.start
    log.info("first")
    other.join(10)
    assert observer.written == ["first", "other"]
    assert observer.dropped == 0


def test_twisteds_own_chatter_is_left_out_unless_it_is_serious() -> None:
    observer = Slow()
    log = Logger("twisted.internet.tcp", observer=observer)
    log.info("a port was opened")
    log.emit(LogLevel.error, "a port broke")
    assert observer.written == ["a port broke"]
