"""What a proxy is to the benchmark, and how one is started."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .processes import free_port, listening
from .works import ANTHROPIC, OPENAI, Kind, Work

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proxy is to run."""

    folder: Path  #: its own, empty
    port: int
    upstream: int  #: the upstream's port, on 127.0.0.1
    tls: bool  #: whether the upstream speaks TLS there
    ca: Path  #: whom to trust then
    load: Path  #: the built load program
    cache: Path  #: where peers have been installed

    @property
    def address(self) -> str:
        """The upstream's host and port."""
        return f"127.0.0.1:{self.upstream}"

    @property
    def url(self) -> str:
        """The upstream, without a path."""
        return f"{'https' if self.tls else 'http'}://{self.address}"


def _no_headers(_: Place) -> Mapping[str, str]:
    return {}


def _nothing_to_install(_: Path) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.  `install`, `version` and `command` raise `BenchError` if it cannot be had."""

    name: str
    doc: str  #: what it is and how it is set, for readers of the report
    version: Callable[[Path], str]  #: given the cache
    #: Writes what the proxy needs into its folder and returns the command that runs it there.
    command: Callable[[Place], list[str]]
    install: Callable[[Path], None] = _nothing_to_install  #: into the cache, if it is not there
    environ: Callable[[Place], Mapping[str, str]] = _no_headers
    #: What each request has to carry for it.
    header: Callable[[Place], Mapping[str, str]] = _no_headers
    loose: bool = False  #: It writes answers anew, so that their bytes cannot be compared.
    slow: bool = False  #: It gets the light works.
    restless: bool = False  #: It works also when it has nothing to do, so it is paused then.
    keeps_alive: bool = False  #: It speaks into silences.
    paths: Collection[str] = (OPENAI, ANTHROPIC)
    bodies: bool = True  #: Any body gets through.
    saturated: bool = False  #: It is for the saturating works alone, on all cores.

    def does(self, work: Work) -> bool:
        """Whether it can do `work`."""
        if work.path not in self.paths or (work.kind is Kind.BODY and not self.bodies):
            return False
        # To write anew all that fits into the buffers of stalled streams takes them many minutes.
        if work.kind is Kind.STALLED and self.loose:
            return False
        return work.saturating == self.saturated


@dataclass(frozen=True, slots=True)
class Started:
    """A proxy that runs, while `process` is entered."""

    url: str
    header: Mapping[str, str]
    process: AbstractContextManager[int]


def start(proxy: Proxy, place: Place, cores: Collection[int]) -> Started:
    """Set `proxy` up; it runs on `cores` once `Started.process` is entered."""
    place.folder.mkdir()
    process = listening(
        proxy.name,
        proxy.command(place),
        port=place.port,
        cores=cores,
        folder=place.folder,
        environ=proxy.environ(place),
    )
    return Started(f"http://127.0.0.1:{place.port}", proxy.header(place), process)


def new_place(
    folder: Path, proxy: Proxy, work: Work, upstream: int, *, ca: Path, load: Path, cache: Path
) -> Place:
    """A place for `proxy`, to do works like `work`, under `folder`, on a free port."""
    own = f"{proxy.name}-{work.name}" if work.fresh else f"{proxy.name}{'-tls' if work.tls else ''}"
    return Place(folder / own, free_port(), upstream, work.tls, ca, load, cache)
