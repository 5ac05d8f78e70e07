"""Where to connect, as whom, and how patiently: what `[ibkr]` becomes, with limits that tests may shorten.

Plain data. Which of these a user can set, and in what range, is the configuration's to say.
"""

from typing import Literal

import msgspec

from adapters.ibkr.wire.transport import TimeLimits


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One link to TWS or IB Gateway. `account` empty takes the login's only one."""

    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 1
    account: str = ""
    expects: Literal["paper", "real", "any"] = "paper"
    """Which kind of account the session is for; the other kind is refused."""

    reconnect_interval_s: float = 5.0
    reconnect_cap_s: float = 60.0
    max_reconnect_attempts: int = 10
    id_in_use_wait_s: float = 5.0
    """The least wait after error 326: the gateway lets go of a client id slowly."""
    takeover_client_id: int | None = None
    """With which client id to look on, read-only, while ours is in use (326); `None`: not at all."""
    takeover_after: int = 3
    """How many attempts with our own id find it in use before that."""
    takeover_retry_s: float = 300.0
    """How long to look on before our own id is tried again."""
    restart_window: str = ""
    """When the gateway restarts each day, such as `23:40-23:59 America/New_York`."""
    alarm_after_s: float = 60.0
    upstream_patience_s: float = 300.0

    heartbeat_s: float = 1.5
    pong_deadline_s: float = 3.0
    pong_fresh_s: float = 2.0
    start_deadline_s: float = 10.0
    skew_max_s: float = 2.0

    stale_after_s: float = 60.0
    stale_after: dict[str, float] = {}
    lines_max: int = 100
    tick_by_tick_max: int = 3
    delayed_data: bool = False
    backfill: bool = True
    """Ask the broker's history for what was missed while data were lost."""

    data_only: bool = False
    """Market data and nothing else: the broker's book is not looked at, so no order may leave."""

    lock_step: bool = False
    """The broker is a simulated gateway that holds its next event until it is asked for the time."""
    start_ns: int = 0
    """In lock step, the time at which the gateway's day stands at first."""
    step_deadline_s: float = 30.0
    limits: TimeLimits = TimeLimits()
