"""Python's calls per unit of a work, in a run in memory that is the same each time.

Counted is what `sys.setprofile` tells of this thread: ``call``, a Python function or a generator
that goes on, and ``c_call``, a function of C.  What is called of the edge (`tests.hotpath.edge`),
as a transport's ``write`` or the clock, counts as one call, and nothing that the edge does itself.
Python tells nothing of C types that are called (``bytes(…)``) and of operators.
"""

from __future__ import annotations

import gc
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from twisted.internet import task

import gateway
from gateway.net.transport import BULK, READ
from tests.hotpath.edge import MemoryGateway, memory_gateway
from tests.hotpath.works import Work
from tests.process.gateway_process import ROOT

_WARM: Final = 10
_UNITS: Final = 50

_PRODUCT: Final = f"{Path(gateway.__file__).parent}/"
_EDGE: Final = (f"{ROOT / 'tests'}/", task.__file__)
#: Left out in front of files' names.
_FOLDERS: Final = (f"{ROOT}/", "/site-packages/", f"{sysconfig.get_path('stdlib')}/")

#: A function of C by its name, and the code that calls it.
_CKey = tuple[str, CodeType]


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls per unit: how many of each function, by its name."""

    python: dict[str, float]
    c: dict[str, float]

    def figures(self) -> dict[str, float]:
        """The sums, by their keys in the budget."""
        return {
            "python_calls": round(sum(self.python.values()), 2),
            "c_calls": round(sum(self.c.values()), 2),
        }

    def top(self, count: int) -> list[str]:
        """Lines of the functions that are called most."""
        return _lines({**self.python, **self.c}, count)

    def files(self) -> list[str]:
        """Lines of the files whose functions are called or call functions of C."""
        sums: defaultdict[str, float] = defaultdict(float)
        for name, n in (*self.python.items(), *self.c.items()):
            sums[name.rpartition(" in ")[2].partition(":")[0]] += n
        return _lines(sums, len(sums))


def _lines(calls: Mapping[str, float], count: int) -> list[str]:
    ordered = sorted((-n, name) for name, n in calls.items())
    return [f"{-n:8.2f}  {name}" for n, name in ordered[:count]]


class _Counter:
    """A function for `sys.setprofile`."""

    def __init__(self) -> None:
        self.python: Counter[CodeType] = Counter()
        self.c: Counter[_CKey] = Counter()
        self.names: dict[CodeType, str] = {}
        self._edge: dict[CodeType, bool] = {}

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if event == "call":
            caller = frame.f_back
            inside = caller is None or self._is_edge(caller.f_code)
            if not inside or code.co_filename.startswith(_PRODUCT):
                self.python[code] += 1
                if code not in self.names:
                    self.names[code] = _name(frame)
        elif event == "c_call" and not self._is_edge(code):
            self.c[(arg.__qualname__, code)] += 1
            if code not in self.names:
                self.names[code] = _name(frame)

    def _is_edge(self, code: CodeType) -> bool:
        known = self._edge.get(code)
        if known is None:
            known = self._edge[code] = code.co_filename.startswith(_EDGE)
        return known


def count(work: Work, folder: Path) -> Calls:
    """Do the work in memory and count; `folder` is for the gateway's state."""
    with memory_gateway(folder) as memory:
        unit = _stream(memory, work) if work.stream else _requests(memory, work)
        unit()
        if not work.stream:
            memory.settle()  # the price of a model is asked for once, in a thread
        for _ in range(_WARM):
            unit()
        once, twice = _counted(unit, _UNITS), _counted(unit, 2 * _UNITS)
    names = twice.names
    python: Counter[str] = Counter()
    for code, n in twice.python.items():
        python[names[code]] += n - once.python[code]
    c: Counter[str] = Counter()
    for (name, code), n in twice.c.items():
        c[f"{name} in {names[code]}"] += n - once.c[(name, code)]
    return Calls(_per_unit(python), _per_unit(c))


def _per_unit(calls: Counter[str]) -> dict[str, float]:
    return {name: n / _UNITS for name, n in calls.items() if n}


def _counted(unit: Callable[[], None], units: int) -> _Counter:
    counter = _Counter()
    collected = gc.isenabled()
    gc.disable()  # what is freed by the way calls, too
    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        for _ in range(units):
            unit()
    finally:
        sys.setprofile(before)
        if collected:
            gc.enable()
    return counter


def _stream(memory: MemoryGateway, work: Work) -> Callable[[], None]:
    """A stream that has begun; a unit is the next event of it, in a read and a write of its own."""
    client = memory.connect()
    client.deliver(work.request)
    upstream = memory.upstream(work.upstream)
    upstream.deliver(work.head)
    assert client.read().startswith(b"HTTP/1.1 200 OK\r\n")

    def unit() -> None:
        upstream.deliver(work.piece)
        assert client.read() == work.piece

    return unit


def _requests(memory: MemoryGateway, work: Work) -> Callable[[], None]:
    """A unit is a request and its answer, on connections that are kept."""
    client = memory.connect()
    reads = list(_reads(work.request))
    body = work.request.partition(b"\r\n\r\n")[2]
    answer = work.head + work.piece

    def unit() -> None:
        for read in reads:
            client.deliver(read)
        upstream = memory.upstream(work.upstream)
        assert upstream.read().endswith(body)
        upstream.deliver(answer)
        assert client.read().endswith(work.piece)

    return unit


def _reads(data: bytes) -> Iterator[bytes]:
    """As a transport cuts what is there at once."""
    room = READ
    while data:
        read, data = data[:room], data[room:]
        yield read
        room = BULK if len(read) >= READ else READ


def _name(frame: FrameType) -> str:
    """What the code of `frame` is called, behind its file."""
    code = frame.f_code
    path, name = code.co_filename, code.co_qualname.replace("<locals>.", "")
    if path == "<string>" and code.co_argcount:  # made for a dataclass or a named tuple
        first = frame.f_locals[code.co_varnames[0]]
        made = first if isinstance(first, type) else type(first)
        return f"{made.__module__.replace('.', '/')}.py:{made.__qualname__}.{code.co_name}"
    for folder in _FOLDERS:
        path = path.rpartition(folder)[2]
    return f"{path}:{name}"
