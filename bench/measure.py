"""The works done by the proxies in turn, and what the system says of each.

Proxies run all at the same time on one core, the load and the upstream on another, except for works
that are to take all there is.  Who does something without being asked is paused while others
work.  A proxy that cannot be had or a work that it cannot do is noted with the reason, and the rest
goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from . import client
from .account import cpu_seconds, memory, reset_peak, tcp_kib
from .certificate import write_certificate
from .peers.servers import go
from .processes import BenchError, free_port, go_on, listening, pause
from .proxy import Proxy, Started, new_place, start
from .report import DIRECT, Sample
from .works import WORKS, Work

#: Seconds after a work in which a proxy's last doings for it (rows, closes) still count.
_SETTLE: Final = 0.5
#: Seconds that a proxy has after a pause to do what has become due.
_WAKE: Final = 0.3
#: Seconds for which streams are held: two keepalives of the gateway, or a look.
_HOLD: Final = 35.0
_HOLD_SILENT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores are used."""

    proxy: int
    load: int

    @property
    def all(self) -> tuple[int, int]:
        """Both."""
        return self.proxy, self.load


@dataclass(slots=True)
class _Running:
    """A proxy, or none (`proxy` is None): where it listens, and which process it is."""

    proxy: Proxy | None
    started: Started
    pid: int | None
    light: bool  #: whether it gets the light works

    @property
    def name(self) -> str:
        return DIRECT if self.proxy is None else self.proxy.name


def _unwatched(_: int) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(slots=True)
class Bench:
    """A run.  `left_out` says what was not measured, and why."""

    cores: Cores
    folder: Path  #: empty
    cache: Path
    say: Callable[[str], None]  #: progress
    left_out: dict[str, str] = field(default_factory=dict)
    #: Entered with a proxy's pid for the length of each work that it does.
    watch: Callable[[int], AbstractContextManager[None]] = _unwatched
    direct: bool = True  #: whether the works are done without a proxy, too
    _load: Path = field(init=False)
    _ca: Path = field(init=False)

    def measure(
        self, proxies: Sequence[Proxy], works: Sequence[Work], rounds: int
    ) -> Iterator[Sample]:
        """Do every work `rounds` times with every proxy; a sample for each."""
        with ExitStack() as stack:
            self.say("building the load program")
            self._load = client.build(go(), self.folder)
            server, self._ca = write_certificate(self.folder)
            saturating = {work.saturating for work in works}
            upstreams = {
                way: stack.enter_context(self._upstream(server, way)) for way in saturating
            }
            running = {}
            repeated = [work for work in works if not work.fresh]
            for work in repeated:
                key = work.tls, work.saturating
                if key not in running:
                    ports = upstreams[work.saturating]
                    running[key] = list(self._started(stack, proxies, work, repeated, ports))
            for number in range(rounds):
                for work in repeated:
                    for target in running[work.tls, work.saturating]:
                        sample = self._sample(target, work, number)
                        if sample is not None:
                            yield sample
            for work in works:
                if not work.fresh:
                    continue
                for proxy in proxies:
                    with ExitStack() as own:
                        for target in self._started(own, [proxy], work, [work], upstreams[False]):
                            sample = self._sample(target, work, 0)
                            if sample is not None:
                                yield sample

    @contextmanager
    def _upstream(self, server: Path, saturating: bool) -> Iterator[Mapping[bool, int]]:
        """The simulated provider: its ports without and with TLS."""
        ports = {False: free_port(), True: free_port()}
        command = [str(self._load), "upstream", "-certificate", str(server)]
        command += ["-listen", f"127.0.0.1:{ports[False]}"]
        command += ["-listen-tls", f"127.0.0.1:{ports[True]}"]
        cores = self.cores.all if saturating else (self.cores.load,)
        name = f"upstream{'-all' if saturating else ''}"
        with listening(name, command, port=ports[False], cores=cores, folder=self.folder):
            yield ports

    def _started(
        self,
        stack: ExitStack,
        proxies: Sequence[Proxy],
        like: Work,
        works: Sequence[Work],
        ports: Mapping[bool, int],
    ) -> Iterator[_Running]:
        """The proxies for works like `like`, started and warmed up.  First none at all."""
        if not like.tls:
            url = f"http://127.0.0.1:{ports[False]}"
            nobody = Started(url, {}, nullcontext(0))
            for light in sorted({proxy.slow for proxy in proxies}):
                yield _Running(None, nobody, None, light)
        alike = [
            work for work in works if (work.tls, work.saturating) == (like.tls, like.saturating)
        ]
        for proxy in proxies:
            mine = [work for work in alike if proxy.does(work)]
            if not mine or proxy.name in self.left_out:
                continue
            self.say(f"starting {proxy.name}{' for TLS' if like.tls else ''}")
            place = new_place(
                self.folder,
                proxy,
                like,
                ports[like.tls],
                ca=self._ca,
                load=self._load,
                cache=self.cache,
            )
            try:
                started = start(proxy, place, self._cores(like.saturating))
                pid = stack.enter_context(started.process)
            except BenchError as error:
                what = f"{proxy.name}{' with TLS' if like.tls else ''}"
                # The folder is gone when somebody reads this.
                self.left_out[what] = str(error).replace(f"{self.folder}/", "")
                continue
            target = _Running(proxy, started, pid, proxy.slow)
            for work in mine:
                self._warm_up(target, work)
            if proxy.restless:
                pause(pid)
            yield target

    def _cores(self, saturating: bool) -> Collection[int]:
        return self.cores.all if saturating else (self.cores.proxy,)

    def _warm_up(self, target: _Running, work: Work) -> None:
        try:
            load = WORKS["S10k"] if work.fresh else work
            report = self._ask(target, load.shortened(), lambda _: None)
        except BenchError as error:
            self._leave_out(target, work, str(error))
            return
        if report["failed"]:
            self._leave_out(target, work, next(iter(report["errors"])))

    def _leave_out(self, target: _Running, work: Work, why: str) -> None:
        self.left_out[f"{work.name} through {target.name}"] = why

    def _ask(self, target: _Running, work: Work, look: Callable[[str], None]) -> client.Report:
        cores = self.cores.all if work.saturating else (self.cores.load,)
        return client.run(
            self._load,
            target.started.url,
            work,
            cores,
            header=target.started.header,
            loose=target.proxy is not None and target.proxy.loose,
            look=look,
        )

    def _sample(self, target: _Running, work: Work, number: int) -> Sample | None:
        """Do `work` once; None if this proxy cannot."""
        proxy, pid = target.proxy, target.pid
        if f"{work.name} through {target.name}" in self.left_out:
            return None
        if proxy is None and (work.fresh or not self.direct):
            return None
        if proxy is not None and not proxy.does(work):
            return None
        given = work.lightened() if target.light else work
        self.say(f"round {number + 1}: {work.name}, {target.name}")
        try:
            if proxy is None or pid is None:
                report = self._ask(target, given, lambda _: None)
                return Sample(given, DIRECT, number, target.light, {}, report)
            with _awake(proxy, pid), self.watch(pid):
                return self._measured(target, proxy, pid, given, number)
        except BenchError as error:
            self._leave_out(target, work, str(error))
            return None

    def _measured(
        self, target: _Running, proxy: Proxy, pid: int, work: Work, number: int
    ) -> Sample:
        reset_peak(pid)
        looks: dict[str, float] = {}

        def look(phase: str) -> None:
            if phase == "held":
                looks["cpu_opening"] = cpu_seconds(pid) - before
                begun = cpu_seconds(pid)
                time.sleep(_HOLD if proxy.keeps_alive else _HOLD_SILENT)
                looks["cpu_holding"] = cpu_seconds(pid) - begun
            now = memory(pid)
            looks[f"{phase}_pss"], looks[f"{phase}_rss"] = now.pss, now.rss
            looks[f"{phase}_tcp"] = tcp_kib()

        idle = memory(pid)
        looks |= {"idle_pss": idle.pss, "idle_rss": idle.rss, "idle_tcp": tcp_kib()}
        before = cpu_seconds(pid)
        report = self._ask(target, work, look)
        time.sleep(_SETTLE)
        looks["cpu"] = cpu_seconds(pid) - before
        looks["peak"] = memory(pid).peak
        return Sample(work, proxy.name, number, proxy.slow, looks, report)


@contextmanager
def _awake(proxy: Proxy, pid: int) -> Iterator[None]:
    if not proxy.restless:
        yield
        return
    go_on(pid)
    time.sleep(_WAKE)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            pause(pid)
