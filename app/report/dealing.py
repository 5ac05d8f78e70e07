"""One pass over a run's fills: round trips, groups, costs and the time something was held.

Amounts are in each instrument's currency. Sums over several currencies are not made: such a figure is `None`.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from app.report import metrics
from app.report.days import Day, calendar_days, day_of
from app.report.facts import Facts
from app.report.trips import Tally
from core.money import CONTEXT, ZERO, money
from core.trips import Fill, RoundTrip, Trips, average

_ONE = Decimal(1)
_DETAIL = re.compile(r"\s*\([^()]*\d[^()]*\)")
_NUMBER = re.compile(r"[-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?")
_REASONS_MAX = 1_000


class Group(msgspec.Struct, frozen=True):
    """What part of a run came to: its closed trades, its costs, and its profit with open positions marked.

    `net_profit` is `None` where an open position has no price, or currencies differ (no `currency`).
    """

    name: str
    currency: str
    fills: int
    traded_value: Decimal | None
    commissions: Decimal | None
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: Decimal | None
    net_profit: Decimal | None


class OpenRow(msgspec.Struct, frozen=True):
    """A position that was open at the end; `open_profit` at the last price, before commissions."""

    strategy: str
    instrument: str
    quantity: Decimal
    average_price: Decimal
    opened_ts: int
    mark: Decimal | None
    open_profit: Decimal | None
    currency: str


class _Sums:
    """Sums over the fills of one strategy in one instrument."""

    def __init__(self) -> None:
        self.fills = 0
        self.value = self.commissions = self.flow = ZERO
        self.tally = Tally()


class Dealing:
    """Folds fills in time order."""

    def __init__(self, facts: Facts, days: Sequence[Day], root: Path) -> None:
        items = facts.sessions.instruments()
        self._multipliers = {item.instrument: item.multiplier for item in items}
        self._currencies = {item.instrument: item.currency for item in items}
        self._facts = facts
        self._days = days
        self._trips = Trips(self._multipliers)
        self._sums: dict[tuple[str, str], _Sums] = {}
        self._reasons: dict[tuple[str, str], Tally] = {}
        self._quantities: dict[str, Decimal] = {}
        self._held_since: int | None = None
        self._held: list[tuple[int, int]] = []
        self._slippage = self._measured_value = ZERO
        self._measured = 0
        self._marks: dict[str, Decimal | None] = {}
        self.tally = Tally()
        self.trips: list[RoundTrip] = []
        self.traded_by_day = [0.0] * len(days)
        self.fills_by_day = [0] * len(days)
        self._begin(root)

    def _begin(self, root: Path) -> None:
        begun = self._facts.opening(root)
        self.begun_with = len({instrument for _, instrument, _, _ in begun})
        for strategy, instrument, quantity, cost in begun:
            ts = self._facts.first_ts or 0
            self._trips.hold(strategy, instrument, quantity, cost, ts)
            sums = self._sums.setdefault((strategy, instrument), _Sums())
            sums.flow -= CONTEXT.multiply(CONTEXT.multiply(quantity, cost), self._multiplier(instrument))
            self._move(instrument, quantity, ts)

    def _multiplier(self, instrument: str) -> Decimal:
        return self._multipliers.get(instrument, _ONE)

    def currency(self, instrument: str) -> str:
        """Return the currency of an instrument's amounts."""
        return self._currencies.get(instrument, self._facts.currency)

    def take(self, fill: Fill) -> None:
        """Fold one fill."""
        value = CONTEXT.multiply(
            CONTEXT.multiply(fill.quantity, fill.price), self._multiplier(fill.instrument)
        )
        paid = fill.commission or ZERO
        sums = self._sums.setdefault((fill.strategy, fill.instrument), _Sums())
        sums.fills += 1
        sums.value = CONTEXT.add(sums.value, abs(value))
        sums.commissions = CONTEXT.add(sums.commissions, paid)
        signed = -value if fill.side == "BUY" else value
        sums.flow = CONTEXT.add(sums.flow, CONTEXT.subtract(signed, paid))
        if self._days:
            day = day_of(self._days, fill.ts)
            self.traded_by_day[day] += abs(float(value))
            self.fills_by_day[day] += 1
        self._measure(fill, value)
        self._move(fill.instrument, fill.quantity if fill.side == "BUY" else -fill.quantity, fill.ts)
        for trade in self._trips.take(fill):
            self._close(trade, sums)

    def _measure(self, fill: Fill, value: Decimal) -> None:
        if fill.arrival is None or not fill.price:
            return
        worse = fill.price - Decimal(repr(fill.arrival))
        against = worse if fill.side == "BUY" else -worse
        cost = CONTEXT.multiply(CONTEXT.multiply(against, fill.quantity), self._multiplier(fill.instrument))
        self._slippage = CONTEXT.add(self._slippage, cost)
        self._measured_value = CONTEXT.add(self._measured_value, abs(value))
        self._measured += 1

    def _close(self, trade: RoundTrip, sums: _Sums) -> None:
        self.trips.append(trade)
        self.tally.add(trade.profit)
        sums.tally.add(trade.profit)
        key = (exit_reason(trade.reason), self.currency(trade.instrument))
        if key not in self._reasons and len(self._reasons) >= _REASONS_MAX:
            key = ("other reasons", key[1])
        self._reasons.setdefault(key, Tally()).add(trade.profit)

    def _move(self, instrument: str, quantity: Decimal, ts: int) -> None:
        held = self._quantities.get(instrument, ZERO) + quantity
        self._quantities[instrument] = held
        if not held:
            del self._quantities[instrument]
        if self._quantities and self._held_since is None:
            self._held_since = ts
        elif not self._quantities and self._held_since is not None:
            self._held.append((self._held_since, ts))
            self._held_since = None

    def held(self) -> list[tuple[int, int]]:
        """Return the intervals in which something was held."""
        open_end = [] if self._held_since is None else [(self._held_since, self._facts.last_ts or 0)]
        return [*self._held, *open_end]

    def costs(self, equity: Sequence[float]) -> dict[str, Any]:
        """Return turnover, value traded and slippage; `None` if instruments trade in several currencies."""
        fills = sum(sums.fills for sums in self._sums.values())
        single = {self.currency(name) for _, name in self._sums} <= {self._facts.currency}
        told: dict[str, Any] = dict.fromkeys(("turnover", "traded_value", "slippage", "slippage_bps"))
        if single:
            told["turnover"] = metrics.turnover(self.traded_by_day, equity, calendar_days(self._days))
            told["traded_value"] = money(sum((s.value for s in self._sums.values()), ZERO))
        if single and self._measured:
            told["slippage"] = money(self._slippage)
            if self._measured_value:
                told["slippage_bps"] = float(self._slippage / self._measured_value) * 10_000
        return {**told, "slippage_measured": self._measured / fills if fills else None}

    def by_instrument(self) -> list[Group]:
        """Return a group for each instrument that was traded."""
        names = sorted({name for _, name in self._sums})
        return [self._group(name, [key for key in self._sums if key[1] == name]) for name in names]

    def by_strategy(self) -> list[Group]:
        """Return a group for each strategy that traded; without a name are orders from elsewhere."""
        names = sorted({strategy for strategy, _ in self._sums})
        return [self._group(name, [key for key in self._sums if key[0] == name]) for name in names]

    def by_exit_reason(self) -> list[Group]:
        """Return a group for each reason to close, most frequent first; numbers in it are left out."""
        ranked = sorted(self._reasons.items(), key=lambda item: (-item[1].trades, item[0]))
        return [
            Group(name, currency, tally.trades, None, None, **_of(tally), net_profit=tally.profit)
            for (name, currency), tally in ranked
        ]

    def open_rows(self) -> list[OpenRow]:
        """Return the positions that are open at the end, each marked at the last price."""
        return [self._open_row(strategy, name, self._trips) for strategy, name in sorted(self._trips.open)]

    def _open_row(self, strategy: str, name: str, trips: Trips) -> OpenRow:
        trade, mark = trips.open[(strategy, name)], self._mark(name)
        price = average(trade.entered)
        profit = None
        if mark is not None:
            profit = money((mark - price) * trade.quantity * self._multiplier(name))
        return OpenRow(
            strategy, name, money(trade.quantity), price, trade.opened_ts, mark, profit, self.currency(name)
        )

    def _mark(self, name: str) -> Decimal | None:
        if name not in self._marks:
            self._marks[name] = self._facts.mark(name)
        return self._marks[name]

    def _group(self, name: str, keys: Iterable[tuple[str, str]]) -> Group:
        chosen = list(keys)
        currencies = {self.currency(instrument) for _, instrument in chosen}
        single = len(currencies) == 1
        tally = Tally()
        for key in chosen:
            tally.include(self._sums[key].tally)
        parts = [self._sums[key] for key in chosen]
        return Group(
            name,
            currencies.pop() if single else "",
            sum(part.fills for part in parts),
            money(sum((part.value for part in parts), ZERO)) if single else None,
            money(sum((part.commissions for part in parts), ZERO)) if single else None,
            **_of(tally, single=single),
            net_profit=self._net(chosen) if single else None,
        )

    def _net(self, keys: Sequence[tuple[str, str]]) -> Decimal | None:
        total = ZERO
        for key in keys:
            total = CONTEXT.add(total, self._sums[key].flow)
            trade = self._trips.open.get(key)
            if trade is None:
                continue
            mark = self._mark(key[1])
            if mark is None:
                return None
            total += trade.quantity * mark * self._multiplier(key[1])
        return money(total)


def exit_reason(reason: str) -> str:
    """Return a reason without what differs from trade to trade: numbers, and details in brackets."""
    short = _NUMBER.sub("…", _DETAIL.sub("", reason)).strip()
    return short or "no reason given"


def _of(tally: Tally, *, single: bool = True) -> dict[str, Any]:
    told = tally.figures()
    keys = ("trades", "win_rate", "profit_factor", "expectancy")
    return {key: told[key] if single or key in {"trades", "win_rate"} else None for key in keys}
