"""What is asked of a replay: strategies and assumptions, from the command line and the configuration.

Decides no default that the configuration has. The command line comes before the configuration, a recorded
session's strategies before the configured ones.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from adapters.replay.sample_names import INSTRUMENT
from app.composition.seating import StrategySpec, spread
from app.configuration.reading import Config
from app.configuration.rules import exits, limits, signal_rules, sizing_rules
from app.replay.options import ReplayOptions
from app.replay.planning import DataOptions, Prices
from app.replay.recorded import Recorded, specs_of
from core.errors import InvalidEvent, UsageError
from core.matching import ActionOrders, BarFill, Trigger
from core.money import decimal_of, money
from core.risk.limits import MarginRules

_SAMPLE_STRATEGY = StrategySpec("sma_cross", {"instrument": INSTRUMENT})


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks to replay; `None` leaves it to the configuration."""

    what: str
    strategies: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    cash: str | None = None
    commission: str | None = None
    latency_ms: float | None = None
    partial_fills: bool | None = None
    slippage: str | None = None
    volume_share: float | None = None
    stop_trigger: Trigger | None = None
    bar_fill: BarFill | None = None
    action_orders: ActionOrders | None = None
    margin: Literal["none", "cash", "reg_t"] | None = None
    feed: str | None = None
    extended_hours: bool | None = None
    prices: Prices | None = None
    fill_forward: bool | None = None
    carry: str | None = None
    fills: str | None = None


def strategies(
    config: Config, request: ReplayRequest, *, sample: bool, recorded: Recorded | None = None
) -> list[StrategySpec]:
    """Return what to run: the command line's, else the recorded session's, the configured, the sample's."""
    configured = config.settings.replay.strategy
    if request.strategies:
        # Parameters of a configured strategy of that name are the starting point for `--set`.
        known = {entry.name: entry.parameters for entry in configured}
        given = spread(request.strategies, request.settings)
        merged = [StrategySpec(s.name, {**known.get(s.name, {}), **s.parameters}, s.id) for s in given]
        return [_watching(spec, config) for spec in merged]
    chosen = [StrategySpec(entry.name, dict(entry.parameters), entry.id) for entry in configured]
    if recorded is not None:
        chosen = specs_of(recorded.started)
    if not chosen and sample:
        chosen = [_SAMPLE_STRATEGY]
    if not chosen:
        raise UsageError(
            "no strategy: name one with --strategy (tape strategies lists them) and --set key=value, "
            "or in the configuration under [[replay.strategy]]"
        )
    set_all = spread([spec.name for spec in chosen], request.settings)
    merged = [
        StrategySpec(spec.name, {**spec.parameters, **more.parameters}, spec.id)
        for spec, more in zip(chosen, set_all, strict=True)
    ]
    return [_watching(spec, config) for spec in merged]


def _watching(spec: StrategySpec, config: Config) -> StrategySpec:
    """Return the bundled composite with the watchlist as its instruments, unless it is given some."""
    watchlist = config.settings.trading.watchlist
    if spec.name != "composite" or not watchlist:
        return spec
    return StrategySpec(spec.name, {"instruments": list(watchlist), **spec.parameters}, spec.id)


def options(config: Config, request: ReplayRequest) -> ReplayOptions:
    """Return the assumptions: the configuration's, with what the command line says instead."""
    section = config.settings.replay
    return ReplayOptions(
        cash=section.cash if request.cash is None else cash(request.cash),
        currency=section.currency,
        commission=request.commission or section.commission,
        latency_ms=section.latency_ms if request.latency_ms is None else request.latency_ms,
        partial_fills=section.partial_fills if request.partial_fills is None else request.partial_fills,
        slippage=section.slippage if request.slippage is None else request.slippage,
        volume_share=section.volume_share if request.volume_share is None else request.volume_share,
        stop_trigger=request.stop_trigger or section.stop_trigger,
        bar_fill=request.bar_fill or section.bar_fill,
        action_orders=request.action_orders or section.action_orders,
        limits=msgspec.structs.replace(
            limits(config.settings.risk_management), margin=margin_rules(config, request)
        ),
        exits=exits(config.settings.risk_management),
        feed=request.feed,
        data=data_options(config, request),
        signals=signal_rules(config),
        sizing=sizing_rules(config),
    )


def data_options(config: Config, request: ReplayRequest) -> DataOptions:
    """Return how data are prepared: as the configuration says, or the command line instead."""
    section = config.settings.replay
    hours = section.extended_hours if request.extended_hours is None else request.extended_hours
    fill = section.fill_forward if request.fill_forward is None else request.fill_forward
    return DataOptions(extended_hours=hours, prices=request.prices or section.prices, fill_forward=fill)


def margin_rules(config: Config, request: ReplayRequest) -> MarginRules | None:
    """Return the margin model of the simulated account, by the command line or the configuration."""
    section = config.settings.replay
    model = request.margin or section.margin
    if model == "none":
        return None
    return MarginRules(model, tuple(sorted(section.futures_margin.items())))


def cash(text: str) -> Decimal:
    """Return the amount that `--cash` names; raises `UsageError`."""
    try:
        amount = money(decimal_of(text))
    except (InvalidEvent, ValueError) as error:
        raise UsageError(f"--cash {text}: expected an amount such as 100000") from error
    if amount < 0:
        raise UsageError(f"--cash {text}: expected an amount that is not negative")
    return amount
