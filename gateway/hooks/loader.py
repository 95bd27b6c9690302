"""Loads a hook module from its file and finds its hooks; everything wrong is told before any runs.

The file is executed once in each process that serves, and by ``--check`` and ``gatewayctl check``.
Nothing is written beside it, no byte code either.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from zope.interface.exceptions import Invalid
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyObject

from ..config.model import Config
from ..config.problem import ConfigError, Problem
from .bindings import Bindings
from .heads import RequestHead, ResponseHead
from .interface import IGatewayHooks, Row

#: What the module is called; its loggers and classes show it.
MODULE_NAME: Final = "gateway_hooks_module"

#: The hooks, in the order of a request; those that may be waited for.
NAMES: Final = ("request", "response", "event", "settled")
WAITED_FOR: Final = frozenset({"request", "settled"})


class HookError(Exception):
    """A hook module cannot be used; each of `problems` begins with its file and line."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class HookModule:
    """The hooks that a module has."""

    request: Callable[[RequestHead], object] | None = None
    response: Callable[[ResponseHead], object] | None = None
    event: Callable[[bytes], object] | None = None
    settled: Callable[[Row], object] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Which there are."""
        return tuple(name for name in NAMES if getattr(self, name) is not None)


def load(path: Path) -> HookModule:
    """Execute the file and take its hooks.  Raises `HookError` with all that is wrong."""
    source = _read(path)
    module = _executed(path, source)
    bindings = Bindings(source)
    found: dict[str, Any] = {name: vars(module)[name] for name in NAMES if name in vars(module)}
    wrong = {name: _wrong(module, name, hook, bindings) for name, hook in found.items()}
    for called, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__module__ == MODULE_NAME:
            wrong[called] = wrong.get(called) or _misnamed(called)
    problems = sorted((bindings.line(name), what) for name, what in wrong.items() if what)
    if not found and not problems:
        problems.append((1, f"there is no hook in it, write a function {_listed()}"))
    if problems:
        raise HookError(*(f"{path}:{line}: {what}" for line, what in problems))
    return HookModule(**found)


def hooks_of(config: Config) -> HookModule | None:
    """The hooks that a configuration names.  Raises `ConfigError` with all that is wrong."""
    if config.hooks is None:
        return None
    try:
        return load(config.hooks)
    except HookError as error:
        raise ConfigError(
            Problem(config.source, config.hooks_line, "hooks", "module", problem)
            for problem in error.problems
        ) from error


def described(config: Config, module: HookModule) -> str:
    """Which file it is and which hooks are in it, for people."""
    return f"hooks: {config.hooks} ({', '.join(module.names)})"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HookError(f"{path}:1: the file cannot be read ({error.strerror})") from None


def _executed(path: Path, source: bytes) -> ModuleType:
    module = ModuleType(MODULE_NAME)
    module.__file__ = str(path)
    before = sys.modules.get(MODULE_NAME)
    sys.modules[MODULE_NAME] = module  # dataclasses look their module up
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except BaseException as error:  # sys.exit() in a module ends no gateway, either
        if before is None:
            del sys.modules[MODULE_NAME]
        else:
            sys.modules[MODULE_NAME] = before
        if isinstance(error, KeyboardInterrupt):
            raise
        raise HookError(f"{path}:{_line_of(error, path)}: {_last_line(error)}") from error
    return module


def _line_of(error: BaseException, path: Path) -> int:
    """The line of the file at which it went wrong, also when it did so in what that calls."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 1 for f in reversed(frames) if f.filename == str(path)), 1)


def _last_line(error: BaseException) -> str:
    text = traceback.format_exception_only(error)[-1].strip()
    return "".join(c if c.isprintable() else " " for c in text)


def _wrong(module: ModuleType, name: str, hook: Any, bindings: Bindings) -> str | None:
    """Why `hook` cannot be called as the interface says, and what would be right; None if it can.

    One that is imported and can be is taken to be meant; else its name is a chance.
    """
    what = _unfit(module, name, hook)
    if what is None:
        return None
    if name in bindings.imported:
        origin = bindings.imported[name]
        return f"{name}{what}; it is imported from {origin}, import it as _{name}"
    return f"{name}{what}, write def {name}{IGatewayHooks[name].getSignatureString()}"


def _unfit(module: ModuleType, name: str, hook: Any) -> str | None:
    """What `hook` is instead; goes on after its name."""
    if not callable(hook):
        return " is no function"
    if inspect.isclass(hook):
        return " is a class"
    if name not in WAITED_FOR and inspect.iscoroutinefunction(hook):
        return " is async, but nothing can wait for it"
    if inspect.isgeneratorfunction(hook) or inspect.isasyncgenfunction(hook):
        return " is a generator, which nobody runs"
    # Only the hooks that are there are asked for; zope.interface knows no optional method.
    present = InterfaceClass("IGatewayHooks", (), {name: IGatewayHooks[name]})
    try:
        verifyObject(present, module, tentative=True)
    except Invalid:
        return f"{inspect.signature(hook)} takes other arguments"
    return None


def _misnamed(name: str) -> str | None:
    """What is wrong with a function that was meant to be a hook and never would be called."""
    if name in NAMES or name.startswith("_"):
        return None
    meant = get_close_matches(name.lower(), NAMES, n=1, cutoff=0.8)
    if not meant:
        return None
    return f"{name} is no hook, did you mean {meant[0]}? If it is to be none, name it _{name}"


def _listed() -> str:
    return f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
