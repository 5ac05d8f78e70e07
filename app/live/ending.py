"""When a session is to end: at the time that was given, or before, by a signal or the kill file.

Asked at every look and while waiting for the broker. What was recorded up to then is durable, whichever way
it ends; nothing is decided here of what that is.
"""

from pathlib import Path

from app.live.kill_file import KillFile
from app.live.signals import Stopping
from app.look.moments import parse_time
from core.clock import iso
from core.errors import ExitCode, TapeError, UsageError

_EXAMPLE = "2025-07-02T10:05-04:00; without an offset it is UTC"


def deadline(text: str | None, begin: int | None = None) -> int | None:
    """Return the time that `--until` names, in ns UTC; `None` without one.

    Raises `UsageError` for what is no time, and for one that is not after `begin`, if that is given.
    """
    if text is None:
        return None
    try:
        until = parse_time(text)
    except UsageError as error:
        raise UsageError(f"--until {text!r}: expected a time such as {_EXAMPLE}") from error
    check_ahead(until, begin)
    return until


def check_ahead(until: int | None, begin: int | None) -> None:
    """Raise `UsageError` if a session that begins at `begin` would end before."""
    if until is not None and begin is not None and until <= begin:
        raise UsageError(f"--until {iso(until)} is not ahead: the session begins at {iso(begin)}")


class StopAsked(TapeError):
    """The command was asked to stop while it waited for the broker."""

    exit_code = ExitCode.HALTED


class Ending:
    """Asks signals and the kill file of the log at `root`; without signals only the file."""

    def __init__(self, root: Path, signals: Stopping | None = None) -> None:
        self._file = KillFile(root)
        self._signals = signals or Stopping()

    @property
    def reason(self) -> str:
        """`stopped` by a signal, `halted` by the kill file, or nothing."""
        if self._signals.number:
            return "stopped"
        return "halted" if self._file.exists() else ""

    @property
    def exit_code(self) -> int:
        """The exit code of a command that ended now, in order."""
        if self._signals.number:
            return self._signals.exit_code
        return ExitCode.HALTED if self._file.exists() else ExitCode.OK

    def check(self) -> None:
        """Raise `StopAsked` if it is time to end."""
        reason = self.reason
        if reason == "stopped":
            raise StopAsked("stopped by a signal; what was recorded is durable")
        if reason:
            raise StopAsked(f"the kill file is there ({self._file.reason()}); next: tape resume")
