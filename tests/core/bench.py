"""The whole core on a bench: real projections, step, loop and simulated broker; inputs from a list.

`Bench.run` feeds events (numbered from 1) and returns what the session recorded. Nothing is replaced
by a fake but the recorder, which keeps entries in a list and notes the order of its calls.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from adapters.replay.broker import SimulatedBroker
from app.composition.world import World
from core.agenda import Agenda
from core.commissions import commission_model
from core.events import (
    Bar,
    CashAdjusted,
    Entry,
    Event,
    FeedDefined,
    InstrumentDefined,
    Quote,
    QuoteBar,
    SessionScheduled,
    Trade,
)
from core.loop import Loop
from core.matching import FillModel
from core.ports import RUN_BASE, SessionRecorder
from core.risk import Limits, RiskGate, RiskState
from core.sampling import EquitySampler
from core.signals.composite import SignalRules
from core.sizing.rules import SizingRules
from core.step import Step
from core.strategy import Parameters, Strategy, Subscription
from core.views import GateView
from projections.sessions import Sessions

D = Decimal
ACCOUNT = "SIM"
FEED = "t/tick"
MS = 1_000_000
S = 1_000 * MS
MIN = 60 * S
# 2025-07-02 in New York: data from 4:00, regular hours 9:30 to 16:00, in ns UTC.
BEGIN = 1_751_443_200 * S
OPEN = BEGIN + 330 * MIN
CLOSE = OPEN + 390 * MIN
END = CLOSE + 240 * MIN


def instrument(name: str = "ACME", kind: str = "STK", exchange: str = "XNYS") -> InstrumentDefined:
    return InstrumentDefined(0, name, name, kind, exchange, "USD", D(1), D("0.01"), "America/New_York")


def session(date: str = "2025-07-02", shift: int = 0, exchange: str = "XNYS") -> SessionScheduled:
    return SessionScheduled(
        BEGIN + shift,
        exchange,
        date,
        "America/New_York",
        BEGIN + shift,
        OPEN + shift,
        CLOSE + shift,
        END + shift,
    )


def trade(ts: int, price: float, size: float = 100.0, *, name: str = "ACME", bad: bool = False) -> Trade:
    return Trade(ts, FEED, name, price, size, "V", "", bad)


def quote(
    ts: int,
    bid: float | None = None,
    ask: float | None = None,
    *,
    sizes: tuple[float | None, float | None] = (100.0, 100.0),
    name: str = "ACME",
    venue: str = "V",
    bad: bool = False,
) -> Quote:
    """A quote update; a side without a price is not part of it, unless its size is 0."""
    bid_size = sizes[0] if bid is not None or sizes[0] == 0 else None
    ask_size = sizes[1] if ask is not None or sizes[1] == 0 else None
    return Quote(ts, FEED, name, bid, bid_size, ask, ask_size, venue, "", bad)


def bar(
    ts: int, o: float, h: float, low: float, c: float, *, name: str = "ACME", feed: str = "t/minute"
) -> Bar:
    return Bar(ts, ts - MIN, feed, name, o, h, low, c, 1_000.0)


def quote_bar(ts: int, bid: float | None, ask: float | None, *, name: str = "ACME") -> QuoteBar:
    bids = (None,) * 5 if bid is None else (bid, bid, bid, bid, 100.0)
    asks = (None,) * 5 if ask is None else (ask, ask, ask, ask, 100.0)
    return QuoteBar(ts, ts - MIN, "t/minute", name, *bids, *asks)


class Tape(SessionRecorder):
    """A recorder that keeps entries, and notes commits and whatever else is written to `calls`."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.committed = 0
        self.calls: list[tuple[str, int]] = []

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        seq = RUN_BASE + 1 + len(self.entries)
        self.entries.append(Entry(seq, None, seq if at is None else at, cause, event))
        return seq

    def commit(self, *, sync: bool) -> None:
        self.committed = len(self.entries)
        self.calls.append(("sync" if sync else "commit", self.committed))


class NotedBroker(SimulatedBroker):
    """The simulated broker; notes which decisions it was told to release, and when."""

    tape: Tape

    def release(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            self.tape.calls.append(("release", effect.seq))
        super().release(effects)


class ListSource:
    """Inputs from a list in given batches."""

    def __init__(self, batches: Iterable[Sequence[tuple[int, Event]]]) -> None:
        self._batches = list(batches)

    def batches(self) -> Iterable[Iterable[tuple[int, Event]]]:
        yield from self._batches


class Nothing(Strategy[Parameters]):
    """Subscribes to ACME and does nothing."""

    def subscriptions(self) -> Iterable[Subscription]:
        return [Subscription("ACME")]


class Script(Nothing):
    """Runs `plan[n]` (a function of the strategy) at the n-th market event of ACME, and notes all news."""

    def __init__(self, plan: dict[int, Callable[["Script"], Any]] | None = None) -> None:
        super().__init__(Parameters())
        self.plan = plan or {}
        self.seen = 0
        self.news: list[str] = []

    def _next(self) -> None:
        self.seen += 1
        if self.seen in self.plan:
            self.plan[self.seen](self)

    def on_trade(self, trade: Trade) -> None:
        self._next()

    def on_quote(self, quote: Quote) -> None:
        self._next()

    def on_bar(self, bar: Bar) -> None:
        self._next()

    def on_order(self, order: Any) -> None:
        self.news.append(f"{order.id} {order.state}")

    def on_fill(self, fill: Any) -> None:
        self.news.append(f"{fill.order} {fill.side} {fill.quantity} at {fill.price}")


class Bench:
    """One session, wired as a replay wires it."""

    def __init__(
        self,
        *strategies: Strategy[Any] | tuple[str, Strategy[Any]],
        limits: Limits = Limits(),  # noqa: B008
        model: FillModel = FillModel(),  # noqa: B008
        definitions: Sequence[Event] | None = None,
        bars: Iterable[str] = (),
        cash: str = "100000",
        commission: str = "zero",
        sampled: bool = False,
        adjusted: bool = False,
        loop: type[Loop] = Loop,
        sizing: SizingRules = SizingRules(),  # noqa: B008
        signals: SignalRules = SignalRules(),  # noqa: B008
        past: Sequence[Entry] = (),
    ) -> None:
        """`past` is what an earlier session recorded: it is folded, and this is the second session."""
        given = definitions if definitions is not None else (instrument(), instrument("OTHER"), session())
        sessions = Sessions()
        entries = [Entry(n, None, n, None, event) for n, event in enumerate(given, 1)]
        for entry in entries:
            sessions.apply(entry)
        self.world = World(sessions, entries, "USD")
        for entry in past:
            self.world.apply(entry)
        self.agenda = Agenda()
        self.tape = Tape()
        in_bars = frozenset(bars)
        self.broker = NotedBroker(
            model,
            commission_model(commission),
            self.world.quotes.book,
            sessions,
            self.agenda,
            in_bars,
            in_bars if adjusted else frozenset(),
        )
        self.broker.tape = self.tape
        w = self.world
        self._limits = limits
        self._state = RiskState(w.account, w.positions, w.orders, w.quotes, sessions, w.risk, "USD")
        views = w.views(signals, sizing)
        self.step = Step(RiskGate(limits, self._state), views, self.agenda, 2 if past else 1, ACCOUNT, "USD")
        for n, item in enumerate(strategies):
            name, strategy = item if isinstance(item, tuple) else (f"s{n or ''}", item)
            self.step.seat(name, strategy)
        sampler = EquitySampler(self.agenda, w.account, ACCOUNT, "USD") if sampled else None
        self.loop = loop(self.tape, self.broker, self.step, self.agenda, w.quotes.book, w.folds(), sampler)
        if not past:
            self.loop.record(CashAdjusted(BEGIN, ACCOUNT, "USD", D(cash), "starting cash"), 0, None)

    def guard(self, gate: GateView) -> None:
        """Let `gate` say whether orders may leave, as in live trading."""
        self.step.decisions.gate = RiskGate(self._limits, self._state, gate=gate)

    def run(
        self, events: Iterable[Event], *, cuts: Sequence[int] | None = None, warm_up: Iterable[Event] = ()
    ) -> list[Entry]:
        """Feed events; `cuts` are the sizes of the batches, repeated; all in one without."""
        numbered = list(enumerate(events, 1))
        before = [(seq - 10_000, event) for seq, event in enumerate(warm_up)]
        self.loop.run(
            ListSource(batched(numbered, cuts or [max(1, len(numbered))])),
            1,
            BEGIN,
            ListSource([before]) if before else None,
        )
        return self.tape.entries

    def recorded(self, *types: type[Event]) -> list[Any]:
        """Return the recorded events of the types, in order."""
        return [entry.event for entry in self.tape.entries if isinstance(entry.event, types)]

    def tags(self) -> list[str]:
        """Return what was recorded as type names, in order."""
        return [type(entry.event).__name__ for entry in self.tape.entries]


def batched(items: Sequence[Any], cuts: Sequence[int]) -> list[Sequence[Any]]:
    """Cut items into batches of the given sizes, over and over."""
    batches, start, n = [], 0, 0
    while start < len(items):
        size = cuts[n % len(cuts)]
        batches.append(items[start : start + size])
        start, n = start + size, n + 1
    return batches


def consolidated(feed: str = FEED) -> FeedDefined:
    return FeedDefined(0, feed, "test", "tick", consolidated=True)


def ticks(count, price=10.0, start=OPEN):
    """Return trades, one a second."""
    return [trade(start + n * S, price) for n in range(count)]
