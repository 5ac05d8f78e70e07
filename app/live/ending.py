"""Whether `record` or `fetch` is to end before its time: a signal asked for it, or the kill file is there.

Asked at every look and while waiting for the broker. What was recorded up to then is durable, whichever way
it ends; nothing is decided here of what that is.
"""

from pathlib import Path

from app.live.kill_file import KillFile
from app.live.signals import Stopping
from core.errors import ExitCode, TapeError


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
