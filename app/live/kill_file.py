"""The kill file: a halt that needs neither the log nor a main loop that runs.

While it lies in the log's directory, no order leaves; a session that sees it cancels everything and records
that. It is made by `kill` and removed by `resume`. Nothing else is decided here.
"""

import os
from contextlib import suppress
from pathlib import Path

from core.errors import StoreError
from eventstore.layout import Layout

_MAX_CHARS = 200


class KillFile:
    """The kill file of the log at `root`."""

    def __init__(self, root: Path) -> None:
        self.path = Layout(root).control / "KILL"
        self._name = str(self.path)

    def exists(self) -> bool:
        """Return whether it is there; a few microseconds."""
        return os.path.exists(self._name)  # noqa: PTH110  # on the way of every order: a Path costs three times that

    def reason(self) -> str:
        """Return why it was made, as far as it can be read."""
        try:
            return self.path.read_text("utf-8", errors="replace")[:_MAX_CHARS].strip() or "no reason given"
        except OSError:
            return "the kill file is there"

    def make(self, reason: str) -> None:
        """Make it, durable; raises `StoreError` if the log's directory is missing or cannot be written."""
        try:
            with self.path.open("w", encoding="utf-8") as file:
                file.write(reason[:_MAX_CHARS])
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be written: {error.strerror}; name the log with --log DIR"
            ) from error

    def remove(self) -> None:
        """Remove it, if it is there."""
        with suppress(FileNotFoundError):
            self.path.unlink()
