"""What is wrong with the handlers of a strategy, told before it runs: each of these would never be called.

Python says nothing of a handler that is misspelt, or that is a coroutine or generator: its body does not run.
One that takes other arguments would fail in the middle of a session.
"""

import inspect

from core.handlers import Handlers
from core.strategy import AnyStrategy, Strategy

_HANDLERS = tuple(name for name in vars(Handlers) if name.startswith("on_"))
_ALIKE = 0.8
_NEVER_RUN = (
    (inspect.iscoroutinefunction, "async"),
    (inspect.isasyncgenfunction, "async"),
    (inspect.isgeneratorfunction, "a generator (it has a yield)"),
)


def fault_of(kind: type[AnyStrategy]) -> str:
    """Return what keeps a handler of a strategy from being called, in words; empty if nothing does."""
    own = [name for name in _HANDLERS if getattr(kind, name) is not getattr(Strategy, name)]
    for name in own:
        if wrong := _wrong(kind, name):
            return wrong
    for name in dir(kind):
        if not name.startswith("on_") or name in _HANDLERS or not callable(getattr(kind, name)):
            continue
        from difflib import get_close_matches  # noqa: PLC0415  # few strategies have such a method

        near = get_close_matches(name, _HANDLERS, n=1, cutoff=_ALIKE)
        if near:
            return f"{name} is no handler; did you mean {near[0]}? Give a method of your own another name"
        if not own:
            return f"{name} is no handler, and it has no other: handlers are {', '.join(_HANDLERS)}"
    return ""


def _wrong(kind: type[AnyStrategy], name: str) -> str:
    handler = getattr(kind, name)
    signature = inspect.signature(getattr(Strategy, name))
    expected = f"expected def {name}({', '.join(signature.parameters)})"
    if not callable(handler):
        return f"{name} is {handler!r}, which cannot be called; {expected}"
    for is_one, what in _NEVER_RUN:
        if is_one(handler):
            return f"{name} is {what}, so what it says would never run; {expected}"
    if isinstance(inspect.getattr_static(kind, name), staticmethod | classmethod):
        return ""
    try:
        inspect.signature(handler).bind(*signature.parameters)
    except TypeError as error:
        return f"{name} cannot be called as it will be: {error}; {expected}"
    except ValueError:  # of something that does not tell its arguments
        return ""
    return ""
