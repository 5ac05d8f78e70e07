"""The link to the broker as configured: `[ibkr]` and what the command line adds."""

from typing import Literal

from adapters.ibkr.link.link_settings import LinkSettings
from app.configuration.settings import IbkrSection
from core.errors import ConfigError


def link_of(
    section: IbkrSection, *, account: str = "", expects: Literal["paper", "real"] = "paper"
) -> LinkSettings:
    """Return the settings of a link; `account` wins over the configured one.

    Raises `ConfigError` for a takeover that could never be.
    """
    _check_takeover(section)
    return LinkSettings(
        host=section.host,
        port=section.port,
        client_id=section.client_id,
        account=account or section.account,
        expects=expects,
        reconnect_interval_s=section.reconnect_interval_s,
        max_reconnect_attempts=section.max_reconnect_attempts,
        takeover_client_id=section.takeover_client_id,
        takeover_after=section.takeover_after,
        restart_window=section.restart_window,
        alarm_after_s=section.alarm_after_s,
        upstream_patience_s=section.upstream_patience_s,
        heartbeat_s=section.heartbeat_s,
        pong_deadline_s=section.pong_deadline_s,
        pong_fresh_s=section.pong_fresh_s,
        skew_max_s=section.clock_skew_max_s,
        stale_after_s=section.stale_after_s,
        stale_after=section.stale_after,
        lines_max=section.market_data_lines,
        tick_by_tick_max=section.tick_by_tick_lines,
        delayed_data=section.delayed_data,
        backfill=section.backfill,
    )


def _check_takeover(section: IbkrSection) -> None:
    other = section.takeover_client_id
    if other is None:
        return
    if other == section.client_id:
        raise ConfigError(f"[ibkr] takeover_client_id = {other}: expected another id than client_id")
    if section.takeover_after >= section.max_reconnect_attempts:
        raise ConfigError(
            f"[ibkr] takeover_after = {section.takeover_after}: expected less than max_reconnect_attempts "
            f"({section.max_reconnect_attempts})"
        )
