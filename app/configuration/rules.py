"""What sections of the configuration mean to the core: risk limits, automatic exits, the composite, sizing.

One reading for live sessions and replays; where a key depends on another section, it is decided here.
"""

from app.configuration.reading import Config
from app.configuration.settings import RiskSection, SizingSection
from app.plugins.rules import own_limits
from app.plugins.sizers import own_sizing
from core.errors import ConfigError
from core.exits.rules import NO_EXITS, STOP_KEYS, TARGET_KEYS, ExitRules
from core.risk import Limits
from core.signals.composite import SignalRules
from core.sizing.rules import SizingRules


def exits(section: RiskSection | None) -> ExitRules:
    """Return the automatic exits of the configuration; raises `ConfigError` for two stops, or two targets."""
    if section is None:
        return NO_EXITS
    for keys, what in ((STOP_KEYS, "stop"), (TARGET_KEYS, "target")):
        given = [name for name in keys if getattr(section, name) is not None]
        if len(given) > 1:
            said = f"a position has one {what}; keep one of them"
            raise ConfigError(f"[risk_management] {' and '.join(given)}: {said}")
    asked = {name: getattr(section, name) for name in (*STOP_KEYS, *TARGET_KEYS)}
    return ExitRules(
        **asked,
        flatten_day_at=section.max_daily_loss if section.on_daily_loss == "flatten" else None,
        atr_length=section.atr_length,
        atr_bar=section.atr_bar,
        atr_unknown_pct=section.atr_unknown_pct,
    )


def limits(section: RiskSection | None) -> Limits:
    """Return the risk limits of the configuration; none at all without its section."""
    if section is None:
        return Limits()
    asked = {name: getattr(section, name) for name in Limits.__struct_fields__ if name != "margin"}
    return Limits(**{**asked, "restricted": tuple(section.restricted), "rules": own_limits(section.rules)})


def signal_rules(config: Config) -> SignalRules:
    """Return how the configuration makes a composite of sources."""
    section = config.settings.signals
    return SignalRules(
        weights=section.weights,
        threshold=config.settings.trading.signal_threshold,
        half_life_s=section.half_life_s,
        half_life=section.half_life,
        stale_below=section.stale_below,
    )


def sizing_rules(config: Config) -> SizingRules:
    """Return how entries are sized; the stop's distance and the cap default to those of `[risk_management]`.

    Raises `ConfigError` for `fixed_fractional` without the distance of a stop, and for a Kelly estimate that
    could never have the trades it needs; `UsageError` for a sizer that does not load.
    """
    section, risk = config.settings.sizing, config.settings.risk_management
    stop, by_range, share = section.stop_pct, None, section.max_share
    if risk is not None:
        stop = stop or risk.stop_loss_pct or risk.trailing_stop_pct
        by_range = risk.stop_loss_atr or risk.trailing_stop_atr
        share = share or risk.max_position_size
    own = own_sizing(section)
    if own is None:
        _check_sizing(section, stop or by_range)
    return SizingRules(
        method=section.method if own is None else own.name,
        quantity=section.quantity,
        risk_per_trade=section.risk_per_trade,
        stop_pct=stop,
        target_volatility=section.target_volatility,
        volatility=section.volatility,
        max_share=share,
        kelly_fraction=section.kelly_fraction,
        kelly_cap=section.kelly_cap,
        kelly_trades=section.kelly_trades,
        kelly_least=section.kelly_least,
        kelly_fallback=section.kelly_fallback,
        resize_band=section.resize_band if section.resize else None,
        own=own,
        stop_atr=None if stop else by_range,
        atr_unknown_pct=RiskSection().atr_unknown_pct if risk is None else risk.atr_unknown_pct,
    )


def _check_sizing(section: SizingSection, stop: float | None) -> None:
    kelly = section.method == "kelly"
    key = "kelly_fallback" if kelly and section.kelly_fallback == "fixed_fractional" else "method"
    if not stop and (section.method == "fixed_fractional" or key != "method"):
        raise ConfigError(
            f'[sizing] {key} = "fixed_fractional" needs the distance of a stop: set stop_pct there, or '
            "stop_loss_pct, trailing_stop_pct, stop_loss_atr or trailing_stop_atr in [risk_management]"
        )
    if kelly and section.kelly_least > section.kelly_trades:
        raise ConfigError(
            f"[sizing] kelly_least = {section.kelly_least}: only the last kelly_trades = "
            f"{section.kelly_trades} are looked at, so there would never be enough; lower it"
        )
