"""Entries to tell of."""

from decimal import Decimal

from core.events import ConnectionChanged, Entry, Event, Filled, Trade

TS = 1_751_463_000_000_000_000


def entry(event: Event, seq: int = 1) -> Entry:
    return Entry(seq, None, seq, None, event)


def filled(instrument: str = "SPY", seq: int = 1) -> Entry:
    event = Filled(
        TS, f"e{seq}.01", "o-1", "DU1", "s", instrument, "BUY", Decimal(10), Decimal("1.5"), "SMART"
    )
    return entry(event, seq)


def trade(instrument: str = "SPY", seq: int = 1) -> Entry:
    return entry(Trade(TS, "ib/stream", instrument, 1.5, 10.0), seq)


def link(state: str = "down", seq: int = 1, ts: int = TS) -> Entry:
    return entry(ConnectionChanged(ts, state, None, "the socket closed"), seq)
