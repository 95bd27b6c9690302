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
from .heads import RequestHead, ResponseHead
from .interface import IGatewayHooks, Row

#: What the module is called; its loggers and classes show it.
MODULE_NAME: Final = "gateway_hooks_module"

#: The hooks, in the order of a request; those that may be waited for.
NAMES: Final = ("request", "response", "event", "settled")
WAITED_FOR: Final = frozenset({"request", "settled"})


class HookError(Exception):
    """A hook module cannot be used; the text begins with its file and line."""


@dataclass(frozen=True, slots=True)
class HookModule:
    """The hooks that a module has."""

    request: Callable[[RequestHead], object] | None = None
    response: Callable[[ResponseHead], object] | None = None
    event: Callable[[bytes], object] | None = None
    settled: Callable[[Row], object] | None = None


def load(path: Path) -> HookModule:
    """Execute the file and take its hooks.  Raises `HookError`."""
    module = _executed(path)
    found: dict[str, Any] = {name: vars(module)[name] for name in NAMES if name in vars(module)}
    for name, hook in found.items():
        _check(path, module, name, hook)
    for called, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__module__ == MODULE_NAME:
            _check_name(path, called, value)
    if not found:
        raise HookError(f"{path}:1: there is no hook in it, write a function {_listed()}")
    return HookModule(**found)


def problem_of(config: Config) -> str | None:
    """What is wrong with the hook module of a configuration, for people; None if it can be used."""
    if config.hooks is None:
        return None
    try:
        load(config.hooks)
    except HookError as error:
        return f"{config.source}: [hooks] module: {error}"
    return None


def _executed(path: Path) -> ModuleType:
    module = ModuleType(MODULE_NAME)
    module.__file__ = str(path)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise HookError(f"{path}:1: the file cannot be read ({error.strerror})") from None
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


def _check(path: Path, module: ModuleType, name: str, hook: Any) -> None:
    """Whether `hook` can be called as the interface says."""
    where = f"{path}:{_line(hook)}: {name}"
    right = f"write def {name}{IGatewayHooks[name].getSignatureString()}"
    if not callable(hook):
        raise HookError(f"{where} is no function, {right}")
    if inspect.isclass(hook):
        raise HookError(f"{where} is a class, {right}")
    if name not in WAITED_FOR and inspect.iscoroutinefunction(hook):
        raise HookError(f"{where} is async, but nothing can wait for it, {right}")
    if inspect.isgeneratorfunction(hook) or inspect.isasyncgenfunction(hook):
        raise HookError(f"{where} is a generator, which nobody runs, {right}")
    # Only the hooks that are there are asked for; zope.interface knows no optional method.
    present = InterfaceClass("IGatewayHooks", (), {name: IGatewayHooks[name]})
    try:
        verifyObject(present, module, tentative=True)
    except Invalid:
        signature = inspect.signature(hook)
        raise HookError(f"{where}{signature} takes other arguments, {right}") from None


def _check_name(path: Path, name: str, function: FunctionType) -> None:
    """Whether a function was meant to be a hook and never would be called."""
    if name in NAMES or name.startswith("_"):
        return
    meant = get_close_matches(name.lower(), NAMES, n=1, cutoff=0.8)
    if meant:
        raise HookError(
            f"{path}:{_line(function)}: {name} is no hook, did you mean {meant[0]}? "
            "The name of a function that is none may begin with _"
        )


def _line(hook: Any) -> int:
    code = getattr(inspect.unwrap(hook) if callable(hook) else hook, "__code__", None)
    return code.co_firstlineno if code is not None else 1


def _listed() -> str:
    return f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
