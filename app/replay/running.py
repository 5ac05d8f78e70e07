"""What `replay` runs: which strategies and assumptions apply, from the command line and the configuration.

Composes both into a call of `app.replay.replaying`; decides no default that the configuration has.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from adapters.replay.sample_names import DAYS, FEED, INSTRUMENT
from app.composition.past import exits_of, limits_of
from app.composition.seating import StrategySpec, spread
from app.configuration.reading import Config, canonical
from app.configuration.settings import RiskSection, SizingSection
from app.data.unfinished import unfinished, worded
from app.live import proving
from app.live.proving import Recorded, recorded_sessions, specs_of
from app.look.books import open_log
from app.plugins.rules import own_limits, renewed
from app.plugins.sizers import own_sizing
from app.replay.carrying import carried
from app.replay.options import ReplayOptions
from app.replay.planning import DataOptions, Period, Prices, parse_period
from app.replay.proving import prove
from app.replay.replaying import ACCOUNT, Progress, Replay, again
from app.report.summary import summarise
from core.errors import ConfigError, DataMissing, InvalidEvent, UsageError
from core.exit_rules import NO_EXITS, STOP_KEYS, TARGET_KEYS, ExitRules
from core.matching import ActionOrders, BarFill, Trigger
from core.money import money
from core.risk import Limits
from core.risk.limits import MarginRules
from core.signals.composite import SignalRules
from core.sizing_rules import SizingRules
from eventstore.layout import Layout
from eventstore.reader import LogReader
from eventstore.runs import RunReader, find_run

_DATE = re.compile(r"\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?")
_NO_RUN = re.compile(r"-|/|\.\.|\d\.\d")
"""No run's name has one of these; a date in another form has."""
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


class Proven(msgspec.Struct, frozen=True):
    """A recorded session that came out as it was recorded, and the run that shows it."""

    session: int
    run: RunReader


def is_date(what: str) -> bool:
    """Return whether `replay`'s argument is a date or range of dates, and not a run."""
    return bool(_DATE.fullmatch(what))


def sample_note(root: Path, what: str | None) -> str:
    """Return what to say before the built-in sample is imported for the dates `what` (`None`: any), or "".

    It is where there is no log yet, and where an import of it was interrupted: a part of a day would pass for
    the day.
    """
    if what is not None and not (is_date(what) and set(DAYS) & set(what.split(".."))):
        return ""
    if not Layout(root).exists() or LogReader(root).last_seq() == 0:  # or it was only just made
        free = root.is_dir() or not root.exists()
        mine = what is None or set(what.split("..")) <= set(DAYS)
        return (
            f"no log at {root}: making it from the built-in sample (synthetic data)" if free and mine else ""
        )
    if any(started.feed == FEED for started in unfinished(LogReader(root))):
        return f"{root} holds a part of the built-in sample only: importing the rest of it"
    return ""


class Replayed(msgspec.Struct, frozen=True):
    """A run, and, of one that was made again, what changed since without changing its outcome."""

    run: RunReader
    changed: str = ""


def run_replay(
    root: Path, config: Config, request: ReplayRequest, progress: Progress | None = None
) -> Replayed:
    """Replay dates through strategies, or a run again to prove it.

    Raises what `app.replay.replaying` raises, and `OutcomeChanged`.
    """
    reader = open_log(root)
    if not is_date(request.what):
        return _again(root, request, progress)
    text, digest = canonical(config, replay=True)
    period = parse_period(request.what)
    before = None if request.strategies else _traded(reader, period)
    # Whether the log is the sample's is a question only where nothing else says what to run.
    unsaid = not request.strategies and before is None and not config.settings.replay.strategy
    specs = strategies(config, request, sample=unsaid and _is_sample(root), recorded=before)
    assumed = options(config, request)
    if before is not None and config.settings.risk_management is None:
        judged = msgspec.structs.replace(renewed(limits_of(before.started)), margin=assumed.limits.margin)
        assumed = msgspec.structs.replace(assumed, limits=judged, exits=exits_of(before.started))
    replay = Replay(root, reader, period, specs, assumed, config=text, config_hash=digest)
    if request.carry is not None:
        if request.cash is not None:
            raise UsageError("--carry brings cash along: leave out --cash")
        assumed = msgspec.structs.replace(
            assumed, carried=carried(root, request.carry, replay.plan, assumed.currency, ACCOUNT)
        )
        replay = Replay(root, reader, period, specs, assumed, config=text, config_hash=digest)
    return Replayed(replay.run(progress))


def partly_imported(root: Path, run: RunReader) -> list[str]:
    """Return what to say of imports that did not end, if the run read of their feeds."""
    feeds = set(summarise(run).assumptions["feeds"])
    return [worded(one) for one in unfinished(LogReader(root)) if one.feed in feeds]


def run_proofs(root: Path, request: ReplayRequest) -> list[Proven]:
    """Feed the sessions recorded on the dates asked for through their strategies again, oldest first.

    Raises `Differs` for the first one that decides otherwise, `DataMissing` if there is none.
    """
    reader = open_log(root)
    _refuse_extra(request, {"what", "fills"}, "a recorded session")
    period = parse_period(request.what)
    found = recorded_sessions(reader, period.first, period.last)
    if not found:
        raise DataMissing(
            f"no session was recorded on {period}; next: tape live --demo {period.first} records one"
        )
    return [Proven(one.started.session, proving.prove(root, one)) for one in found]


def _traded(reader: LogReader, period: Period) -> Recorded | None:
    """Return the last session of these dates that had strategies."""
    found = [one for one in recorded_sessions(reader, period.first, period.last) if specs_of(one.started)]
    return found[-1] if found else None


def _again(root: Path, request: ReplayRequest, progress: Progress | None) -> Replayed:
    if _NO_RUN.search(request.what):
        raise UsageError(
            f"{request.what!r} is neither a date (2025-07-02, or 2025-07-02..2025-07-03) nor the id of a run"
        )
    from app.optimize.trials import expand, find_trial  # noqa: PLC0415  # dates need none

    trial = find_trial(root, request.what)
    light = trial is not None and not (Layout(root).runs / trial.run).is_dir()
    run = None if light else _run(root, request.what)
    _refuse_extra(request, {"what"}, f"run {request.what}")
    if run is None:
        assert trial is not None
        return Replayed(RunReader(Layout(root).runs / expand(root, trial)))
    if "session" in run.summary:
        return Replayed(proving.prove(root, proving.session_of(LogReader(root), run)))
    now = again(root, open_log(root), run).run(progress)
    return Replayed(now, prove(run, now))


def _run(root: Path, name: str) -> RunReader:
    try:
        return find_run(root, name)
    except DataMissing as error:
        raise DataMissing(f"{error}; dates are written 2025-07-02") from error


def _refuse_extra(request: ReplayRequest, known: set[str], source: str) -> None:
    given = [
        name
        for name in request.__struct_fields__
        if name not in known and getattr(request, name) not in (None, ())
    ]
    if given:
        raise UsageError(
            f"replaying {source} again takes all from the run: leave out {', '.join(given)}, "
            f"or replay a DATE with simulated fills"
        )


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


def recompute_signals(root: Path, config: Config, what: str, now: int) -> None:
    """Ask the configured models anew for what the dates `what` trade on; see `app.signals.models.recompute`.

    A plug-in that is no model knows the present only: what the log has of it stays.
    """
    from app.signals.models import configured_models, recompute  # noqa: PLC0415  # a plain replay knows no model
    from app.signals.plugins import plugin_models  # noqa: PLC0415

    if not is_date(what):
        raise UsageError("--recompute-signals: give a DATE; a run is made again from what its log holds")
    period = parse_period(what)
    models = [*configured_models(config), *plugin_models(config)]
    if not models and config.settings.signals.plugin:
        raise UsageError(
            "--recompute-signals: generate_signal and load_custom_recommendations know the present only; "
            "their recorded signals stay: leave the option out"
        )
    recompute(root, models, period.first, period.last, now)


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


def data_options(config: Config, request: ReplayRequest) -> DataOptions:
    """Return how data are prepared: as the configuration says, or the command line instead."""
    section = config.settings.replay
    hours = section.extended_hours if request.extended_hours is None else request.extended_hours
    fill = section.fill_forward if request.fill_forward is None else request.fill_forward
    return DataOptions(extended_hours=hours, prices=request.prices or section.prices, fill_forward=fill)


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
        amount = money(text)
    except (InvalidEvent, ArithmeticError) as error:
        raise UsageError(f"--cash {text}: expected an amount such as 100000") from error
    if amount < 0:
        raise UsageError(f"--cash {text}: expected an amount that is not negative")
    return amount


def _is_sample(root: Path) -> bool:
    return any(item.instrument == INSTRUMENT for item in LogReader(root).coverage())
