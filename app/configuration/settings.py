"""What can be configured: sections, keys, defaults and ranges; docs/configuration.md describes them.

Plain data. Reading files, merging and naming problems is `app.configuration.reading`. A range is part of a
key's type, so that a value outside it can never be constructed from a file.
"""

from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec

from adapters.ibkr.link.restart_window import parse as parse_window
from core.commissions import check_commission
from core.matching import ActionOrders, BarFill, Trigger
from core.matching.model import check_slippage
from core.resolutions import check_length
from core.signals.checks import check_half_lives, check_source, check_weights
from core.signals.composite import DAY_S, DEFAULT_WEIGHTS
from core.sizing.rules import Fallback, Method

Fraction = Annotated[float, msgspec.Meta(gt=0, le=1, extra={"hint": "fraction"})]
"""A share of one: 0.05 means 5 %."""
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


def _check_rising(pair: tuple[float, float]) -> None:
    _check_pair(*pair, in_order=pair[0] <= pair[1])


def _check_falling(pair: tuple[float, float]) -> None:
    _check_pair(*pair, in_order=pair[0] >= pair[1])


def _check_pair(warning: float, critical: float, *, in_order: bool) -> None:
    if not (isfinite(warning) and isfinite(critical)):
        raise ValueError("expected two finite numbers")
    if critical and not in_order:
        raise ValueError("expected the warning, then what is worse")


_Two = tuple[NotNegative, NotNegative]
Rising = Annotated[_Two, msgspec.Meta(extra={"check": _check_rising})]
"""From where on a health check is a warning, and critical."""
Falling = Annotated[_Two, msgspec.Meta(extra={"check": _check_falling})]
"""The same where less is worse."""

MASK = "********"
_SECRET_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential", "webhook")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: immutable, keyword-only, unknown keys refused."""


class LogSection(_Section, frozen=True, kw_only=True):
    """`[log]`: where the event log lives."""

    path: Name = "tape-log"


class StrategySection(_Section, frozen=True, kw_only=True):
    """`[[replay.strategy]]`: one strategy instance. `parameters` are checked by the strategy itself."""

    name: Name
    id: str | None = None
    parameters: dict[str, Any] = {}


class ReplaySection(_Section, frozen=True, kw_only=True):
    """`[replay]`: the simulated account and broker."""

    cash: Annotated[Decimal, msgspec.Meta(extra={"minimum": 0})] = Decimal(100000)
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "USD"
    commission: Annotated[str, msgspec.Meta(extra={"check": check_commission})] = "ibkr_fixed"
    latency_ms: Count = 0
    partial_fills: bool = False
    slippage: Annotated[str, msgspec.Meta(extra={"check": check_slippage})] = ""
    volume_share: Fraction | None = None
    stop_trigger: Trigger = "trades"
    bar_fill: BarFill = "close"
    action_orders: ActionOrders = "cancel"
    extended_hours: bool = False
    prices: Literal["auto", "adjusted", "raw"] = "auto"
    fill_forward: bool = True
    margin: Literal["none", "cash", "reg_t"] = "none"
    futures_margin: dict[Name, Positive] = {}
    strategy: list[StrategySection] = []


class RiskRuleSection(_Section, frozen=True, kw_only=True):
    """`[risk_management.rules.NAME]`: a rule of the user's own; without `path` it is found by its name."""

    limit: Annotated[float, msgspec.Meta(ge=0)]
    path: str = ""


class RiskSection(_Section, frozen=True, kw_only=True):
    """`[risk_management]`: limits, as shares of equity (0.05 is 5 %). Present at all, it switches them on."""

    max_position_size: Fraction = 0.05
    max_portfolio_risk: Fraction = 0.20
    max_daily_loss: Fraction = 0.05
    max_risk_to_stops: Fraction | None = None
    max_drawdown: Fraction | None = None
    max_leverage: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    max_orders_per_minute: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_open_orders: Annotated[int, msgspec.Meta(ge=1)] | None = None
    price_collar: Fraction | None = None
    duplicate_within_s: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None
    max_data_age_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None
    regular_hours_only: bool = False
    refuse_halted: bool = False
    restricted: list[Name] = []
    on_daily_loss: Literal["halt", "flatten"] = "halt"
    stop_loss_pct: Fraction | None = None
    stop_loss_amount: Positive | None = None
    trailing_stop_pct: Fraction | None = None
    take_profit_pct: Annotated[float, msgspec.Meta(gt=0, le=10, extra={"hint": "fraction"})] | None = None
    stop_loss_atr: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    trailing_stop_amount: Positive | None = None
    trailing_stop_atr: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    take_profit_amount: Positive | None = None
    take_profit_atr: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    atr_length: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 14
    atr_bar: Annotated[str, msgspec.Meta(extra={"check": check_length})] = "1m"
    atr_unknown_pct: Fraction = 0.02
    rules: dict[Name, RiskRuleSection] = {}


class IbkrSection(_Section, frozen=True, kw_only=True):
    """`[ibkr]`: the TWS or Gateway to connect to. A replay never connects."""

    host: Name = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 7497
    client_id: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 1
    account: str = ""
    reconnect_interval_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 5.0
    max_reconnect_attempts: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10
    takeover_client_id: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    takeover_after: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    restart_window: Annotated[str, msgspec.Meta(extra={"check": parse_window})] = ""
    heartbeat_s: Annotated[float, msgspec.Meta(ge=0.2, le=60)] = 1.5
    pong_deadline_s: Annotated[float, msgspec.Meta(ge=0.5, le=60)] = 3.0
    pong_fresh_s: Annotated[float, msgspec.Meta(ge=0.2, le=60)] = 2.0
    alarm_after_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    upstream_patience_s: Annotated[float, msgspec.Meta(ge=10, le=86_400)] = 300.0
    clock_skew_max_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 2.0
    stale_after_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    stale_after: dict[Name, Annotated[float, msgspec.Meta(ge=1, le=86_400)]] = {}
    market_data_lines: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    tick_by_tick_lines: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3
    delayed_data: bool = False
    backfill: bool = True


class TradingSection(_Section, frozen=True, kw_only=True):
    """`[trading]`: with whose money, what to watch and how strong a signal must be."""

    mode: Literal["paper", "live"] = "paper"
    watchlist: list[Name] = []
    signal_threshold: Annotated[float, msgspec.Meta(ge=0, le=1, extra={"hint": "fraction"})] = 0.6
    order_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    order_retry_within_s: Positive = 60.0
    order_hold_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0


class SignalFileSection(_Section, frozen=True, kw_only=True):
    """`[[signals.file]]`: one file that a live session watches. `columns` maps fields to its headings."""

    path: Name
    source: Annotated[str, msgspec.Meta(extra={"check": check_source})]
    sheet: str | None = None
    columns: dict[Name, Name] = {}
    symbols: dict[Name, Name] = {}
    known_at: Literal["open", "close"] = "close"


class SignalModelSection(_Section, frozen=True, kw_only=True):
    """`[[signals.model]]`: a model that is asked for forecasts. No `instruments` are all of the log."""

    path: Name
    source: Annotated[str, msgspec.Meta(extra={"check": check_source})]
    instruments: list[Name] = []
    timeout_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0


class SignalPluginSection(_Section, frozen=True, kw_only=True):
    """`[[signals.plugin]]`: a source of signals in code, asked while trading in a process of its own."""

    path: Name
    source: Annotated[str, msgspec.Meta(extra={"check": check_source})]
    method: Literal["generate_signal", "load_custom_recommendations", "predict"] | None = None
    argument: str = ""
    instruments: list[Name] = []
    symbols: dict[Name, Name] = {}
    every_s: Annotated[float, msgspec.Meta(ge=5, le=86_400)] | None = None
    at: list[Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]] = []
    valid_s: Annotated[float, msgspec.Meta(ge=1, le=3.2e8)] | None = None
    timeout_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0


class SignalsSection(_Section, frozen=True, kw_only=True):
    """`[signals]`: what sources weigh, how their word decays, and how files and forecasts are read."""

    weights: Annotated[dict[Name, float], msgspec.Meta(extra={"check": check_weights})] = msgspec.field(
        default_factory=lambda: dict(DEFAULT_WEIGHTS)
    )
    half_life_s: Annotated[float, msgspec.Meta(ge=1, le=3.2e8)] = 2 * DAY_S
    half_life: Annotated[dict[Name, float], msgspec.Meta(extra={"check": check_half_lives})] = {}
    stale_below: Annotated[float, msgspec.Meta(ge=0, lt=1, extra={"hint": "fraction"})] = 0.05
    valid_days: Annotated[float, msgspec.Meta(gt=0, le=366)] = 5.0
    k: Annotated[float, msgspec.Meta(gt=0, le=100)] = 1.0
    volatility: Annotated[float, msgspec.Meta(gt=0, le=1, extra={"hint": "fraction"})] | None = None
    poll_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 2.0
    settle_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 2.0
    file: list[SignalFileSection] = []
    model: list[SignalModelSection] = []
    plugin: list[SignalPluginSection] = []


class SizingSection(_Section, frozen=True, kw_only=True):
    """`[sizing]`: how large an entry of a strategy that asks for it is."""

    method: Method = "fixed"
    quantity: Annotated[int, msgspec.Meta(ge=1)] = 100
    risk_per_trade: Fraction = 0.01
    stop_pct: Fraction | None = None
    target_volatility: Annotated[float, msgspec.Meta(gt=0, le=5, extra={"hint": "fraction"})] = 0.10
    volatility: Annotated[float, msgspec.Meta(gt=0, le=20, extra={"hint": "fraction"})] | None = None
    max_share: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    kelly_fraction: Fraction = 0.5
    kelly_cap: Fraction = 0.20
    kelly_trades: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 200
    kelly_least: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 30
    kelly_fallback: Fallback = "fixed"
    sizer: str = ""
    parameters: dict[str, Any] = {}
    resize: bool = False
    resize_band: Fraction = 0.25


class ListenerSection(_Section, frozen=True, kw_only=True):
    """`[[live.listener]]`: one listener, in a process of its own."""

    path: Name
    name: str | None = None
    queue: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    errors_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10


class LiveSection(_Section, frozen=True, kw_only=True):
    """`[live]`: what trades when the command line names nothing, and who watches."""

    strategy: list[StrategySection] = []
    listener: list[ListenerSection] = []
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0


class AlertsSection(_Section, frozen=True, kw_only=True):
    """`[alerts]`: the webhook that is told of trouble."""

    webhook: str = ""
    least: Literal["info", "warning", "critical"] = "warning"
    repeat_after_s: Annotated[float, msgspec.Meta(ge=1)] = 900.0
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 5.0


class HealthSection(_Section, frozen=True, kw_only=True):
    """`[health]`: from where on a check is a warning, and critical; 0 is never."""

    enabled: bool = True
    connection_down_s: Rising = (10.0, 60.0)
    data_age_s: Rising = (30.0, 300.0)
    memory_mb: Rising = (1500.0, 3000.0)
    cpu_pct: Rising = (90.0, 98.0)
    disk_free_mb: Falling = (5000.0, 1000.0)
    log_mb: Rising = (50_000.0, 200_000.0)
    position_risk: Rising = (0.8, 1.0)


class LogsSection(_Section, frozen=True, kw_only=True):
    """`[logs]`: structured logs of live sessions, a file a day."""

    directory: str = ""
    level: Literal["off", "debug", "info", "warning", "error"] = "info"
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30


class Settings(_Section, frozen=True, kw_only=True):
    """The whole configuration. `risk_management` is `None` when no file has the section: profile `none`."""

    log: LogSection = LogSection()
    replay: ReplaySection = ReplaySection()
    risk_management: RiskSection | None = None
    ibkr: IbkrSection = IbkrSection()
    trading: TradingSection = TradingSection()
    signals: SignalsSection = SignalsSection()
    sizing: SizingSection = SizingSection()
    live: LiveSection = LiveSection()
    alerts: AlertsSection = AlertsSection()
    health: HealthSection = HealthSection()
    logs: LogsSection = LogsSection()


def masked(value: Any, key: str = "") -> Any:
    """Return plain data with every value hidden whose key speaks of a secret."""
    if any(word in key.lower() for word in _SECRET_WORDS) and value not in (None, ""):
        return MASK
    if isinstance(value, dict):
        return {name: masked(item, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, key) for item in value]
    return value
