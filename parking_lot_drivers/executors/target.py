"""Targets: functions that a configuration names as ``"module:function"``."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

from parking_lot_drivers.errors import ConfigError

_FORM = re.compile(r"(?P<module>\w+(?:\.\w+)*):(?P<name>\w+(?:\.\w+)*)")


def load_target(target: str) -> Callable[..., Any]:
    """Import ``"package.module:function"`` (or ``"module:Class.method"``) and return the function.

    Raises ``ConfigError`` naming the target and what is wrong with it: its form, the import, the name, or that the
    thing is not something to call with a payload.
    """
    module_name, name = split_target(target)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the module's own code raises
        raise ConfigError(_problem(target, f"cannot import {module_name}: {type(error).__name__}: {error}")) from error
    found: Any = module
    for step in name.split("."):
        if not hasattr(found, step):
            raise ConfigError(_problem(target, f"{_name_of(found)} has no {step!r}{_similar(step, found)}"))
        found = getattr(found, step)
    _check_callable(found, target)
    function: Callable[..., Any] = found
    return function


def split_target(target: str) -> tuple[str, str]:
    """Module and function of a target. Raises ``ConfigError`` if it is not of the form ``"module:function"``."""
    form = _FORM.fullmatch(target) if isinstance(target, str) else None
    if form is None:
        raise ConfigError(f'target: expected "package.module:function", got {target!r}')
    return form["module"], form["name"]


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling ``function`` gives a coroutine, also for partial functions and objects with ``__call__``."""
    inner = _unwrapped(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(type(inner), "__call__", None))  # noqa: B004


def check_function(function: Callable[..., Any]) -> None:
    """Raise ``ConfigError`` unless ``function`` is something that an executor can call with a payload."""
    _check_callable(function, getattr(function, "__qualname__", repr(function)))


def _check_callable(found: Any, target: str) -> None:
    if not callable(found):
        raise ConfigError(_problem(target, f"expected a function of one payload, got {type(found).__qualname__}"))
    if inspect.isasyncgenfunction(_unwrapped(found)) or inspect.isgeneratorfunction(_unwrapped(found)):
        raise ConfigError(
            _problem(target, "is a generator; write a function that returns its result (a list of them, for example)")
        )


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _problem(target: str, problem: str) -> str:
    return f"target {target}: {problem}"


def _name_of(found: Any) -> str:
    return str(getattr(found, "__name__", None) or repr(found))


def _similar(name: str, found: Any) -> str:
    close = difflib.get_close_matches(name, [known for known in dir(found) if not known.startswith("__")], n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""
