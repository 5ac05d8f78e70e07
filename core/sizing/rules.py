"""How large an entry is, by the configuration: a method, its inputs, the caps on it, and resizing.

Pure: what it goes by comes as facts, and comes out again beside the size, for the log. The arithmetic of
single methods is that of `methods` and `kelly` beside this; a user's own method is asked by `own`.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any, Literal, get_args

import msgspec

from core.errors import UsageError
from core.money import CONTEXT, ZERO, money, plain
from core.sizing.kelly import edge_of
from core.sizing.methods import fixed_fractional, volatility_target
from core.views import ClosedTrade

Method = Literal["fixed", "fixed_fractional", "volatility_target", "kelly"]
METHODS: tuple[Method, ...] = get_args(Method)
Fallback = Literal["fixed", "fixed_fractional", "volatility_target"]


class OwnSizing(msgspec.Struct, frozen=True):
    """A user's sizer: its name, where its code is, what it is given, and the digest of its source file."""

    name: str
    path: str
    parameters: dict[str, Any] = {}
    source: str = ""


class SizingRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many units an entry is for: `[sizing]` of the configuration.

    `method` is one of `METHODS`, or the name of `own`. `stop_pct` is the distance of the stop as a fraction
    of the price; `stop_atr` stands for it as a multiple of the range, and `atr_unknown_pct` of the price for
    a range that is not known. `volatility` is yearly and stands in for one that is measured. `max_share` caps
    the value of a position, as a share of equity. With `resize_band` holdings are resized that are further
    than this fraction away from what they should be.
    """

    method: str = "fixed"
    quantity: int = 100
    risk_per_trade: float = 0.01
    stop_pct: float | None = None
    target_volatility: float = 0.10
    volatility: float | None = None
    max_share: float | None = None
    kelly_fraction: float = 0.5
    kelly_cap: float = 0.2
    kelly_trades: int = 200
    kelly_least: int = 30
    kelly_fallback: Fallback = "fixed"
    resize_band: float | None = None
    own: OwnSizing | None = None
    stop_atr: float | None = None
    atr_unknown_pct: float = 0.02


def _no_trades(_last: int) -> Sequence[ClosedTrade]:
    return ()


class SizingFacts(msgspec.Struct, frozen=True):
    """What sizing goes by; users' sizers get it as their case.

    `equity` and `unit`, a unit's value (price × multiplier), are in the account's currency; `volatility` is
    yearly. `closed(n)` returns the strategy's last n round trips. `held` is signed. `atr` is the range that
    automatic exits would go by, in the instrument's price, where they do and it is known.
    """

    equity: Decimal | None
    unit: Decimal | None
    volatility: float | None = None
    closed: Callable[[int], Sequence[ClosedTrade]] = _no_trades
    strategy: str = ""
    instrument: str = ""
    price: float | None = None
    held: Decimal = ZERO
    parameters: Mapping[str, Any] = {}
    atr: float | None = None


class Sized(msgspec.Struct, frozen=True):
    """How many units, before (`wanted`) and after the cap that `capped_by` names; and what it went by.

    `reason` says why another method than the configured one stood in.
    """

    wanted: Decimal
    quantity: Decimal
    capped_by: str
    inputs: dict[str, str]
    reason: str = ""


class Unsized(Exception):
    """There is no size; the message says why."""


class _Wanted(msgspec.Struct, frozen=True):
    """What a method gives: units, what they went by, a cap of its own, why another method stood in."""

    units: Decimal
    inputs: dict[str, Any]
    caps: dict[str, float] = {}
    reason: str = ""


OwnSizer = Callable[[SizingFacts], Decimal]
"""A user's sizer as it is asked: it says how many units, or raises `Unsized`."""


def sized(rules: SizingRules, facts: SizingFacts, own: OwnSizer | None = None) -> Sized:
    """Return the size of a position by the rules; 0, and why in `capped_by`, where there is none.

    `own` is the code of `rules.own`.
    """
    equity, unit = facts.equity, facts.unit
    told: dict[str, Any] = {"equity": equity, "unit": unit, "max_share": rules.max_share}
    if equity is None or unit is None or equity <= 0 or unit <= 0:
        return Sized(ZERO, ZERO, "equity or price is unknown", _told(told))
    try:
        found = _asked(own, rules, facts) if own is not None else _BY_METHOD[rules.method](rules, facts)
    except Unsized as none:
        return Sized(ZERO, ZERO, str(none), _told(told | _configured(rules, facts)))
    caps = found.caps if rules.max_share is None else found.caps | {"max_share": rules.max_share}
    wanted = quantity = found.units
    by = ""
    for name, share in caps.items():
        most = _units(Decimal(repr(share)), equity, unit)
        if most < quantity:
            quantity, by = most, name
    return Sized(wanted, quantity, by, _told(told | found.inputs), found.reason)


def _told(inputs: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in sorted(inputs.items()) if value is not None}


def _units(share: Decimal, equity: Decimal, unit: Decimal) -> Decimal:
    """Return how many whole units a share of equity is."""
    return CONTEXT.divide(CONTEXT.multiply(equity, share), unit).to_integral_value(ROUND_DOWN)


def _configured(rules: SizingRules, facts: SizingFacts) -> dict[str, Any]:
    """Return what a method was going by when it gave no size."""
    if rules.own is not None:
        return {"sizer": rules.own.name, "volatility": facts.volatility, "held": facts.held or None}
    volatility = facts.volatility if rules.volatility is None else rules.volatility
    return {"target_volatility": rules.target_volatility, "volatility": volatility}


def _fixed(rules: SizingRules, _facts: SizingFacts) -> _Wanted:
    return _Wanted(Decimal(rules.quantity), {"fixed": rules.quantity})


def _fractional(rules: SizingRules, facts: SizingFacts) -> _Wanted:
    assert facts.equity is not None
    assert facts.unit is not None
    share, inputs = _stop(rules, facts)
    stop = CONTEXT.multiply(facts.unit, 1 - share)
    units = fixed_fractional(facts.equity, Decimal(repr(rules.risk_per_trade)), facts.unit, stop)
    return _Wanted(units, {"risk_per_trade": rules.risk_per_trade, **inputs})


def _stop(rules: SizingRules, facts: SizingFacts) -> tuple[Decimal, dict[str, Any]]:
    """Return the distance of the stop as a fraction of the price, and what it follows from."""
    if rules.stop_pct is not None:
        return Decimal(repr(rules.stop_pct)), {"stop_pct": rules.stop_pct}
    if rules.stop_atr is None:
        raise UsageError("[sizing] fixed_fractional needs the distance of a stop: stop_pct")
    told: dict[str, Any] = {"stop_atr": rules.stop_atr, "atr": facts.atr}
    share = Decimal(repr(rules.atr_unknown_pct))
    if facts.atr and facts.price:
        share = CONTEXT.divide(Decimal(repr(facts.atr)), Decimal(repr(facts.price)))
    else:
        told["atr_unknown_pct"] = rules.atr_unknown_pct
    share = CONTEXT.multiply(share, Decimal(repr(rules.stop_atr)))
    return share, told | {"stop_pct": money(share)}


def _targeting(rules: SizingRules, facts: SizingFacts) -> _Wanted:
    volatility = facts.volatility if rules.volatility is None else rules.volatility
    if not volatility:
        raise Unsized("volatility is unknown")
    assert facts.equity is not None
    assert facts.unit is not None
    target = Decimal(repr(rules.target_volatility))
    units = volatility_target(facts.equity, target, Decimal(repr(volatility)), facts.unit)
    return _Wanted(units, {"target_volatility": rules.target_volatility, "volatility": volatility})


def _kelly(rules: SizingRules, facts: SizingFacts) -> _Wanted:
    """Size by a fraction of the Kelly share, estimated from the strategy's own closed trades.

    The last `kelly_trades` round trips in all its instruments count, after commissions; formula and sources
    are those of `core.sizing.kelly`. With fewer than `kelly_least` wins and losses, or without any of one
    kind, the fallback's method is used under the same cap, and the reason says so.
    """
    assert facts.equity is not None
    assert facts.unit is not None
    edge = edge_of(facts.closed(rules.kelly_trades))
    inputs: dict[str, Any] = {"wins": edge.wins, "losses": edge.losses, "kelly_cap": rules.kelly_cap}
    caps = {"kelly_cap": rules.kelly_cap}
    full, decided = edge.kelly, edge.wins + edge.losses
    if full is None or decided < rules.kelly_least:
        why = f"{decided} of {rules.kelly_least} closed trades"
        if decided >= rules.kelly_least:
            why = f"{edge.wins} wins and {edge.losses} losses among {decided} closed trades"
        stands_in = _BY_METHOD[rules.kelly_fallback](rules, facts)
        why = f"{rules.kelly_fallback} stands in for kelly: {why}"
        return _Wanted(stands_in.units, inputs | stands_in.inputs, caps, why)
    inputs |= {
        "average_win": money(edge.average_win),
        "average_loss": money(edge.average_loss),
        "win_rate": money(edge.win_rate),
        "kelly": money(full),
        "kelly_fraction": rules.kelly_fraction,
    }
    share = CONTEXT.multiply(full, Decimal(repr(rules.kelly_fraction)))
    if share <= ZERO:
        return _Wanted(
            ZERO, inputs, caps, f"no edge: the Kelly share of the last {decided} trades is {share:.4f}"
        )
    return _Wanted(_units(share, facts.equity, facts.unit), inputs, caps)


def _asked(own: OwnSizer, rules: SizingRules, facts: SizingFacts) -> _Wanted:
    """Size by a user's code; what it says is rounded down to whole units, and capped as all are."""
    assert rules.own is not None
    said = own(msgspec.structs.replace(facts, parameters=rules.own.parameters))
    return _Wanted(said.to_integral_value(ROUND_DOWN), _configured(rules, facts))


_BY_METHOD: Mapping[str, Callable[[SizingRules, SizingFacts], _Wanted]] = {
    "fixed": _fixed,
    "fixed_fractional": _fractional,
    "volatility_target": _targeting,
    "kelly": _kelly,
}


def resized(rules: SizingRules, held: Decimal, found: Sized) -> tuple[Decimal, str]:
    """Return the signed quantity that brings a holding to its size, and why; 0 within the band.

    The drift is the distance from the size, as a fraction of it. A size of 0 (unknown, or without an edge)
    resizes nothing: it says what a new entry would be, not that the holding is to be sold.
    """
    band, size, now = rules.resize_band, found.quantity, held.copy_abs()
    if band is None or not now or size <= ZERO:
        return ZERO, ""
    drift = CONTEXT.divide(CONTEXT.subtract(now, size).copy_abs(), size)
    if drift <= Decimal(repr(band)):
        return ZERO, ""
    more = CONTEXT.subtract(size, now)
    why = f"{plain(held)} held, {plain(size)} by {rules.method}: {drift:.2%} off, the band is {band:.2%}"
    return (more if held > ZERO else -more), why
