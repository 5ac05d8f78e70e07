"""What `replay` runs: which strategies and assumptions apply, from the command line and the configuration.

Composes both into a call of `app.replaying`; decides no default that the configuration has.
"""

import re
from decimal import Decimal
from pathlib import Path

import msgspec

from adapters.replay.sample_names import DAYS, INSTRUMENT
from app.books import open_log
from app.config import Config, canonical
from app.planning import parse_period
from app.proving import prove
from app.replaying import Progress, Replay, ReplayOptions, again
from app.seating import StrategySpec, spread
from app.settings import RiskSection
from core.errors import InvalidEvent, UsageError
from core.money import money
from core.risk import Limits
from eventstore.layout import Layout
from eventstore.reader import LogReader
from eventstore.runs import RunReader, find_run

_DATE = re.compile(r"\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?")
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
    feed: str | None = None


def is_date(what: str) -> bool:
    """Return whether `replay`'s argument is a date or range of dates, and not a run."""
    return bool(_DATE.fullmatch(what))


def needs_sample(root: Path, what: str) -> bool:
    """Return whether there is no log yet and the dates asked for are those of the built-in sample."""
    return not Layout(root).exists() and is_date(what) and set(what.split("..")) <= set(DAYS)


class Replayed(msgspec.Struct, frozen=True):
    """A run, and, of one that was made again, what changed since without changing its outcome."""

    run: RunReader
    changed: str = ""


def run_replay(
    root: Path, config: Config, request: ReplayRequest, progress: Progress | None = None
) -> Replayed:
    """Replay dates through strategies, or a run again to prove it.

    Raises what `app.replaying` raises, and `OutcomeChanged`.
    """
    reader = open_log(root)
    if not is_date(request.what):
        return _again(root, request, progress)
    text, digest = canonical(config)
    # Whether the log is the sample's is a question only where nothing else says what to run.
    unsaid = not request.strategies and not config.settings.replay.strategy
    specs = strategies(config, request, sample=unsaid and _is_sample(root))
    replay = Replay(
        root,
        reader,
        parse_period(request.what),
        specs,
        options(config, request),
        config=text,
        config_hash=digest,
    )
    return Replayed(replay.run(progress))


def _again(root: Path, request: ReplayRequest, progress: Progress | None) -> Replayed:
    if re.search(r"-|/|\.\.", request.what):  # no run's name has one of these
        raise UsageError(
            f"{request.what!r} is neither a date (2025-07-02, or 2025-07-02..2025-07-03) nor the id of a run"
        )
    run = find_run(root, request.what)
    given = [
        name
        for name in request.__struct_fields__
        if name != "what" and getattr(request, name) not in (None, ())
    ]
    if given:
        raise UsageError(
            f"replaying run {request.what} again takes all from the run: leave out {', '.join(given)}, "
            f"or give a DATE instead of a run"
        )
    now = again(root, open_log(root), run).run(progress)
    return Replayed(now, prove(run, now))


def strategies(config: Config, request: ReplayRequest, *, sample: bool) -> list[StrategySpec]:
    """Return what to run: the command line's, else the configuration's, else the sample's example."""
    configured = config.settings.replay.strategy
    if request.strategies:
        # Parameters of a configured strategy of that name are the starting point for `--set`.
        known = {entry.name: entry.parameters for entry in configured}
        given = spread(request.strategies, request.settings)
        return [StrategySpec(s.name, {**known.get(s.name, {}), **s.parameters}, s.id) for s in given]
    chosen = [StrategySpec(entry.name, dict(entry.parameters), entry.id) for entry in configured]
    if not chosen and sample:
        chosen = [_SAMPLE_STRATEGY]
    if not chosen:
        raise UsageError(
            "no strategy: name one with --strategy (tape strategies lists them) and --set key=value, "
            "or in the configuration under [[replay.strategy]]"
        )
    set_all = spread([spec.name for spec in chosen], request.settings)
    return [
        StrategySpec(spec.name, {**spec.parameters, **more.parameters}, spec.id)
        for spec, more in zip(chosen, set_all, strict=True)
    ]


def options(config: Config, request: ReplayRequest) -> ReplayOptions:
    """Return the assumptions: the configuration's, with what the command line says instead."""
    section = config.settings.replay
    return ReplayOptions(
        cash=section.cash if request.cash is None else cash(request.cash),
        currency=section.currency,
        commission=request.commission or section.commission,
        latency_ms=section.latency_ms if request.latency_ms is None else request.latency_ms,
        partial_fills=section.partial_fills if request.partial_fills is None else request.partial_fills,
        limits=limits(config.settings.risk_management),
        feed=request.feed,
    )


def limits(section: RiskSection | None) -> Limits:
    """Return the risk limits of the configuration; none at all without its section."""
    if section is None:
        return Limits()
    return Limits(
        max_position_size=section.max_position_size,
        max_portfolio_risk=section.max_portfolio_risk,
        max_daily_loss=section.max_daily_loss,
    )


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
