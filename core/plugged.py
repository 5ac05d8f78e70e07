"""What code of a user's says when it is asked: a number, nothing, or that it raised and where.

Shared by the kinds of plug-ins that run inside a session. Asking never raises but `PluginRaised`, and what
ends the process.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from core.errors import is_termination

_T = TypeVar("_T")


class PluginRaised(Exception):
    """A user's code raised, or said what is no number; the message names what, and file and line."""


def asked(
    call: Callable[[_T], Any], case: _T, passing: tuple[type[BaseException], ...] = ()
) -> Decimal | None:
    """Return the number that `call` says of a case, exact, or `None` if it says so; raises `PluginRaised`.

    Exceptions of the types `passing` are not the user's and pass through.
    """
    try:
        said = call(case)
        return None if said is None else _number(said)
    except passing:
        raise
    except (Exception, SystemExit) as error:
        if is_termination(error):
            raise
        raise PluginRaised(f"raised {type(error).__name__}: {error}{_place(error)}") from error


def _number(said: object) -> Decimal:
    number = Decimal(str(said)) if isinstance(said, int | float | Decimal) and said is not True else None
    if number is None or said is False or not number.is_finite():
        raise TypeError(f"said {said!r:.60}: expected a finite number, or None")
    return number


def _place(error: BaseException) -> str:
    """Return where it raised: file and line of the innermost frame, without the folder."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
        place = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place
