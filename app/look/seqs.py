"""Seqs as users write them in options, and what is said of one that is none.

A seq is a number in ASCII digits. It is never taken for a time: what a number would be as one is said, if it
names no event. Reads nothing.
"""

import re

from core.clock import iso
from core.errors import UsageError
from core.ports import RUN_BASE

_SEQ = re.compile(r"[0-9]+")
_DIGITS_MAX = 18
_UNITS = (("seconds", 10**9), ("milliseconds", 10**6), ("microseconds", 10**3), ("nanoseconds", 1))
_EARLIEST, _LATEST = 1_262_304_000 * 10**9, 2_524_608_000 * 10**9
"""From 2010 to 2050, in ns; the first milliseconds are beyond the seqs of any run."""
_DATE = re.compile(r"((?:19|20)[0-9]{2})(0[1-9]|1[0-2])([0-2][0-9]|3[01])")


def parse_seq(text: str) -> int | None:
    """Return the seq that a text names, `None` if it is none; raises `UsageError` beyond any seq."""
    if not _SEQ.fullmatch(text):
        return None
    if len(text) > _DIGITS_MAX:
        raise UsageError(f"{text[:_DIGITS_MAX]}… has {len(text)} digits: no seq has more than {_DIGITS_MAX}")
    return int(text)


def seqs_text(log_last: int, run_last: int | None = None) -> str:
    """Return which seqs there are, for a message: those of a log, and those of a run of it."""
    of_log = f"from 1 to {log_last}" if log_last else "none yet"
    if run_last is None or run_last <= RUN_BASE:
        return f"its seqs go {of_log}" if log_last else "it has none yet"
    return f"its own seqs go from {RUN_BASE + 1} to {run_last}, those of its log {of_log}"


def as_a_time(number: int) -> str:
    """Return how a number is to be written if it was meant as a time or date, or nothing."""
    if date := _DATE.fullmatch(str(number)):
        return f"; a number is a seq: the date is written {'-'.join(date.groups())}"
    for unit, ns in _UNITS:
        if _EARLIEST <= number * ns < _LATEST:
            return f"; a number is a seq: as {unit} since 1970 it would be written {iso(number * ns)}"
    return ""
