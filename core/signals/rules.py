"""What makes a signal valid. Checked where signals are made: nothing invalid may become an event."""

import re
from math import isfinite

from core.clock import iso
from core.errors import InvalidEvent
from core.events import SignalReceived

SOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def problem(signal: SignalReceived) -> str | None:
    """Return what is wrong with a signal, in words; `None` if it is valid."""
    if not SOURCE.fullmatch(signal.source):
        return f"source {signal.source!r}: expected a letter, then at most 63 letters, digits or _ . -"
    if not signal.instrument.strip():
        return "instrument: expected a name, found nothing"
    if not (isfinite(signal.value) and -1 <= signal.value <= 1):
        return f"value {signal.value!r}: expected a number from -1 to 1"
    if not (isfinite(signal.confidence) and 0 <= signal.confidence <= 1):
        return f"confidence {signal.confidence!r}: expected a number from 0 to 1"
    return _wrong_times(signal)


def _wrong_times(signal: SignalReceived) -> str | None:
    if not 0 < signal.as_of <= signal.ts:
        return f"as_of {_told(signal.as_of)}: expected a time after 1970 that is not after {_told(signal.ts)}"
    if signal.horizon < 0:
        return f"horizon {signal.horizon}: expected ns ahead, 0 if unknown"
    if signal.expires <= signal.ts:
        return f"expires {_told(signal.expires)}: that has passed when it comes, at {_told(signal.ts)}"
    return None


def _told(ts: int) -> str:
    """Return a time as people read it, and what is none as the number that it is."""
    return iso(ts) if 0 <= ts < 1 << 63 else str(ts)


def checked(signal: SignalReceived) -> SignalReceived:
    """Return the signal; raises `InvalidEvent` that says what is wrong with it."""
    wrong = problem(signal)
    if wrong is not None:
        raise InvalidEvent(f"signal of {signal.source!r} for {signal.instrument!r}: {wrong}")
    return signal
