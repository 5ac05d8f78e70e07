"""What the risk rules and the operator look at: exposure, the day's result, drawdown, order rate.

Everything comes from events: equity from `AccountMarked`, days from `SessionScheduled`, the rate from the
intents' own times. Exposure is computed from positions and marks when asked, never stored.
"""

from bisect import bisect_right
from collections import defaultdict
from decimal import Decimal
from itertools import chain, takewhile
from operator import attrgetter
from typing import Protocol

import msgspec

from core.clock import MINUTE_NS
from core.events import AccountMarked, CashAdjusted, ClockAdvanced, OrderIntended, SessionScheduled
from core.money import CONTEXT, ZERO, divide, money, money_once
from core.views import Position, PositionsView
from projections.base import Projection, State
from projections.sessions import Calendar

RATE_WINDOW_NS = 60_000_000_000

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_TS = attrgetter("ts")


class Valuation(Protocol):
    """What prices a position; `Account` is one."""

    def market_value(self, position: Position, currency: str) -> Decimal | None:
        """Return quantity * mark * multiplier in `currency`, or `None` if a price or rate is unknown."""

    def convert(self, amount: Decimal, held: str, wanted: str) -> Decimal | None:
        """Return `amount` of currency `held` in `wanted`, or `None` if no rate leads there."""


class Exposure(msgspec.Struct, frozen=True):
    """Signed market values by instrument, their sum (`net`) and the sum of their sizes (`gross`)."""

    gross: Decimal
    net: Decimal
    instruments: dict[str, Decimal]


class EquityTrack(msgspec.Struct, gc=False):
    """How one account's equity went: `baseline` is where the day `date` began, `peak` the highest so far.

    Deposits and withdrawals move baseline and peak along, so they are neither profit nor drawdown.
    """

    account: str
    currency: str
    date: str | None
    baseline: Decimal
    equity: Decimal
    peak: Decimal
    drawdown: Decimal = ZERO
    drawdown_max: Decimal = ZERO

    def mark(self, equity: Decimal, date: str | None) -> None:
        """Take a sample; the first of a new day compares with the last of the day before.

        Days only go forward, so an exchange that is still in yesterday's session changes nothing.
        """
        if date is not None:
            self.turn(date)
        self.equity = equity
        if equity >= self.peak:
            self.peak, self.drawdown = equity, ZERO
            return
        self.drawdown = divide(_subtract(self.peak, equity), self.peak) if self.peak > ZERO else ZERO
        self.drawdown_max = max(self.drawdown_max, self.drawdown)

    def turn(self, date: str) -> bool:
        """Begin the day `date` with the equity of the last mark; return whether it is a new one."""
        if self.date is not None and date <= self.date:
            return False
        self.date, self.baseline = date, self.equity
        return True

    def deposit(self, amount: Decimal) -> None:
        """Take cash that came in or went out."""
        self.baseline = _add(self.baseline, amount)
        self.equity = _add(self.equity, amount)
        self.peak = _add(self.peak, amount)


class RiskState(State, kw_only=True):
    """Snapshot of `Risk`."""

    tracks: list[EquityTrack]
    sessions: list[SessionScheduled]
    intents: list[OrderIntended]


class Risk(Projection):
    """Exposure, day P&L, peak and drawdown, order rate.

    `exchange` fixes whose session dates count as days; without one, those of all exchanges together do
    (`Calendar.date`). Before any session is known, the whole log is one day. A day begins with whatever tells
    the time: an equity that stays the same is not marked again.
    """

    name = "risk"
    version = 3
    state_type = RiskState

    def __init__(self, positions: PositionsView, valuation: Valuation, exchange: str | None = None) -> None:
        self._positions = positions
        self._valuation = valuation
        self._exchange = exchange
        self._calendar = Calendar()
        self._tracks: dict[tuple[str, str], EquityTrack] = {}
        self._days: dict[tuple[str, str], Decimal] = {}  # results of the day, as far as asked for
        # By account, those of the last minute and some before: they go at full minutes. Each order comes in
        # here, and few rules ask.
        self._intents: defaultdict[str, list[OrderIntended]] = defaultdict(list)
        self._look_ts = 0  # from when on the date may have changed; it does so at full minutes
        super().__init__(
            {
                SessionScheduled: self._session,
                AccountMarked: self._marked,
                CashAdjusted: self._cash_adjusted,
                OrderIntended: self._intended,
                ClockAdvanced: self._clock,
            }
        )

    def exposure(self, account: str, currency: str) -> Exposure | None:
        """Return the open positions' market values in `currency`; `None` if a price or rate is unknown."""
        values: dict[str, Decimal] = {}
        for position in self._positions.open_positions():
            if position.account == account:
                value = self._valuation.market_value(position, currency)
                if value is None:
                    return None
                values[position.instrument] = value
        gross = net = ZERO
        for value in values.values():
            gross, net = _add(gross, value.copy_abs()), _add(net, value)
        return Exposure(money(gross), money(net), values)

    def track(self, account: str, currency: str) -> EquityTrack | None:
        """Return a copy of how the account's equity went, or `None` before its first mark."""
        track = self._tracks.get((account, currency))
        return None if track is None else msgspec.structs.replace(track)

    def day_pnl(self, account: str, currency: str) -> Decimal | None:
        """Return the equity's change since the day began, deposits left out; `None` before a mark."""
        key = (account, currency)
        known = self._days.get(key)
        if known is None and (track := self._tracks.get(key)) is not None:
            known = self._days[key] = money_once(_subtract(track.equity, track.baseline))
        return known

    def peak_equity(self, account: str, currency: str) -> Decimal | None:
        """Return the highest equity marked, moved by later deposits; `None` before a mark."""
        track = self._tracks.get((account, currency))
        return None if track is None else money(track.peak)

    def drawdown(self, account: str, currency: str) -> Decimal | None:
        """Return how far equity is below its peak, as a fraction of the peak; `None` before a mark."""
        track = self._tracks.get((account, currency))
        return None if track is None else track.drawdown

    def drawdown_max(self, account: str, currency: str) -> Decimal | None:
        """Return the largest drawdown so far, as a fraction; `None` before a mark."""
        track = self._tracks.get((account, currency))
        return None if track is None else track.drawdown_max

    def orders_last_minute(self, ts: int, strategy: str | None = None, account: str | None = None) -> int:
        """Return how many orders were intended in the 60 s up to `ts` (event time, ns)."""
        since = ts - RATE_WINDOW_NS
        return sum(
            since < intent.ts <= ts
            and strategy in (None, intent.strategy)
            and account in (None, intent.account)
            for intent in chain.from_iterable(self._intents.values())
        )

    def intents_last_minute(self, account: str) -> int:
        """Return how many orders were intended in the 60 s up to the last one of any account."""
        intents = self._intents.get(account, ())
        return len(intents) - bisect_right(intents, self._minute_began(), key=_TS)

    def recent(self, since_ts: int) -> list[OrderIntended]:
        """Return the orders intended after `since_ts`, at most a minute back, the latest first."""
        since_ts = max(since_ts, self._minute_began())
        found = [
            intent
            for _, intents in sorted(self._intents.items(), reverse=True)
            for intent in takewhile(lambda known: known.ts > since_ts, reversed(intents))
        ]
        return sorted(found, key=_TS, reverse=True)

    def _minute_began(self) -> int:
        """Return the time after which an intent is one of the last minute, up to the last one."""
        return max((intents[-1].ts for intents in self._intents.values()), default=0) - RATE_WINDOW_NS

    def _session(self, event: SessionScheduled, _seq: int) -> None:
        self._calendar.schedule(event)

    def _marked(self, event: AccountMarked, _seq: int) -> None:
        if event.equity is None:
            return
        date = self._calendar.date(self._exchange, event.ts)
        key = (event.account, event.currency)
        self._days.pop(key, None)
        track = self._tracks.get(key)
        if track is None:
            equity = event.equity
            self._tracks[key] = EquityTrack(*key, date, baseline=equity, equity=equity, peak=equity)
        else:
            track.mark(event.equity, date)

    def _cash_adjusted(self, event: CashAdjusted, _seq: int) -> None:
        if event.reason == "dividend":
            return
        self._days.clear()
        for (account, currency), track in self._tracks.items():
            if account == event.account:
                amount = self._valuation.convert(event.amount, event.currency, currency)
                track.deposit(ZERO if amount is None else amount)  # without a rate equity is unknown as well

    def _clock(self, event: ClockAdvanced, _seq: int) -> None:
        if event.ts >= self._look_ts:
            self._turn(event.ts)

    def _turn(self, ts: int) -> None:
        """Begin the minute, and the day, if it is another one than that of the last mark."""
        self._look_ts = (ts // MINUTE_NS + 1) * MINUTE_NS
        date = self._calendar.date(self._exchange, ts)
        for key, track in self._tracks.items():
            if date is not None and track.turn(date):
                self._days.pop(key, None)
        self._forget(self._minute_began())

    def _forget(self, ts: int) -> None:
        """Forget the intents up to `ts`."""
        for account, intents in list(self._intents.items()):
            del intents[: bisect_right(intents, ts, key=_TS)]
            if not intents:
                del self._intents[account]

    def _intended(self, event: OrderIntended, _seq: int) -> None:
        if event.ts >= self._look_ts:
            self._turn(event.ts)
        self._intents[event.account].append(event)

    def describe(self) -> str:
        """Return for example `risk: DU1 USD day 12.5 drawdown 0.01; 3 intents in the window`."""
        days = [
            f"{track.account} {track.currency} day {money(_subtract(track.equity, track.baseline)):f} "
            f"drawdown {track.drawdown:f}"
            for _, track in sorted(self._tracks.items())
        ]
        count = len(self.recent(self._minute_began()))
        return f"risk: {', '.join(days) or 'nothing marked'}; {count} intents in the window"

    def state(self) -> RiskState:
        """Return a snapshot."""
        return RiskState(
            applied_seq=self.applied_seq,
            tracks=[msgspec.structs.replace(track) for _, track in sorted(self._tracks.items())],
            sessions=self._calendar.sessions(),
            intents=self.recent(self._minute_began())[::-1],
        )

    def restore(self, state: RiskState) -> None:
        """Replace the state by a snapshot."""
        self._calendar = Calendar(state.sessions)
        self._days.clear()
        self._tracks = {
            (track.account, track.currency): msgspec.structs.replace(track) for track in state.tracks
        }
        self._intents.clear()
        for intent in state.intents:
            self._intents[intent.account].append(intent)
        self.applied_seq = state.applied_seq
