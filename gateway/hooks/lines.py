"""The log's lines about hooks: of each kind one in a while, and how many were left out.

Invariant: what was left out is told, with the next line of its kind or at the end.

Who calls it: `gateway.hooks.calls`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..journal.kinds import Kind

#: Seconds between two lines about the same.
INTERVAL: Final = 10.0
#: Kinds that are told apart; more than that can only be types that are made as they are raised.
MOST_KINDS: Final = 100

_log = Logger(namespace="gateway.hooks")


@dataclass(slots=True)
class _Told:
    """One kind: when the next line is due, and what was left out since the last."""

    due: float
    left_out: int = 0
    id: str = ""
    text: str = ""
    wrong: bool = False


class Lines:
    """See the module's text."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Told] = {}

    def tell(
        self,
        hook: str,
        kind: str,
        what: str,
        id: str,
        failure: Callable[[], Failure] | None = None,
        *,
        wrong: bool = True,
    ) -> None:
        """Say what a hook did, unless a line of that hook and kind was written a short while ago.

        `id` is the row's; `failure` makes the cause, which is dear, only if a line is due; not
        `wrong` is what is only worth knowing.
        """
        now, key = self._clock.seconds(), (hook, kind)
        text = f"the hook {hook} {what}"
        told = self._kinds.get(key)
        if told is None and len(self._kinds) >= MOST_KINDS:
            key = (hook, "any")
            told = self._kinds.get(key)
        if told is not None and now < told.due:
            told.left_out += 1
            told.id, told.text, told.wrong = id, text, wrong
            return
        more = told.left_out if told is not None else 0
        self._kinds[key] = _Told(now + INTERVAL)
        text += f" ({_times(more)} more before)" if more else ""
        _write(text, id, wrong, None if failure is None else failure())

    def finish(self) -> None:
        """Tell what was left out and has had no line yet; the last one of each kind."""
        for told in self._kinds.values():
            if told.left_out:
                _write(f"{told.text} ({_times(told.left_out)} more)", told.id, told.wrong, None)
        self._kinds.clear()


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _write(text: str, id: str, wrong: bool, failure: Failure | None) -> None:
    form = "request {id}: {text}"
    if failure is not None:
        _log.failure(form, failure, id=id, text=text, kind=Kind.HOOK_FAILED)
    elif wrong:
        _log.warn(form, id=id, text=text, kind=Kind.HOOK_FAILED)
    else:
        _log.warn(form, id=id, text=text)
