"""`kill`: stop everything without the log's lock and without the main loop.

The kill file first, which no running session passes an order by; then a connection of its own that cancels
everything of the login. Each part is tried whatever became of the other, and what failed is told.
"""

from pathlib import Path

import msgspec

from adapters.ibkr.link.probe import Cancelled, cancel_everything
from app.configuration.reading import Config
from app.live.kill_file import KillFile
from app.live.status_file import read_status
from app.operation.operating import current_holder
from core.errors import BrokerError, StoreError
from eventstore.layout import Layout

CLIENT_OFFSET = 1000
"""Added to the session's client id: two connections never share one."""


class Killed(msgspec.Struct, frozen=True):
    """What was done; `cancelled` is `None` if the broker could not be reached, `problems` has why."""

    kill_file: str
    place: str
    cancelled: Cancelled | None
    problems: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether no order is left at the broker and none can leave."""
        return self.cancelled is not None and self.cancelled.after == 0 and not self.problems


def kill(root: Path, config: Config, reason: str, *, host: str | None, port: int | None) -> Killed:
    """Make the kill file and cancel everything at the broker that the running session is connected to.

    Without a session it is the configured one. Never raises for what fails: `problems` has it.
    """
    problems: list[str] = []
    file = KillFile(root)
    made = ""
    try:
        file.make(reason)
        made = str(file.path)
    except StoreError as error:
        problems.append(str(error))
    there, number, client_id = _where(root, config)
    there, number = host or there, port or number
    cancelled: Cancelled | None = None
    try:
        cancelled = cancel_everything(there, number, client_id + CLIENT_OFFSET)
    except BrokerError as error:
        problems.append(f"{error}; cancel by hand in TWS")
    if cancelled is not None and cancelled.after:
        problems.append(f"{cancelled.after} orders are still working; cancel them by hand in TWS")
    return Killed(made, f"{there}:{number}", cancelled, tuple(problems))


def _where(root: Path, config: Config) -> tuple[str, int, int]:
    holder = current_holder(Layout(root))
    told = read_status(root, [holder.get("pid")]) if holder else None
    if told is not None:
        return str(told["host"]), int(told["port"]), int(told["client_id"])
    section = config.settings.ibkr
    return section.host, section.port, section.client_id
