"""A small share like one whose 7:1 split had bad prints around it: made here, from nothing that was traded.

Three sessions of minutes around 2014-06-09. Prices walk a little from 645 before the split and from 92
after it; the first minutes after it hold prints at seven times the price, and one before it at a seventh.
"""

from datetime import date
from decimal import Decimal
from pathlib import Path

from adapters.replay.calendar import midnight_ns, sessions, zone
from app.composition.seating import StrategySpec
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.planning import DataOptions
from app.replay.replaying import Replay
from core.clock import MINUTE_NS
from core.events import Bar, CorporateAction, FeedDefined, ImportFinished, ImportStarted, InstrumentDefined
from eventstore.memory import MemoryLog

NAME = "AAPX"
EX_DATE = "2014-06-09"
DAYS = (date(2014, 6, 5), date(2014, 6, 9))
BAD = {("2014-06-06", 388): 1 / 7, (EX_DATE, 1): 7.0, (EX_DATE, 4): 7.0}
"""Minutes (by number, in a session) whose high or low is a print at the other price, and how far off."""


def held():
    return sessions("XNYS", *DAYS)


def price(day: str, minute: int) -> float:
    step = ((minute * 7919) % 23 - 11) / 100
    return round(645.57 + step, 2) if day < EX_DATE else round(645.57 / 7 + step / 7, 2)


def bars(bad: bool = True) -> list[Bar]:
    """All minutes, with the bad prints in their extremes."""
    made = []
    for session in held():
        for minute in range(390):
            start = session.open + minute * MINUTE_NS
            now, then = price(session.date, minute), price(session.date, minute + 1)
            high, low = max(now, then), min(now, then)
            off = BAD.get((session.date, minute)) if bad else None
            if off:
                high, low = max(high, round(now * off, 2)), min(low, round(now * off, 2))
            made.append(Bar(start + MINUTE_NS, start, "t/minute", NAME, now, high, low, then, 1000.0))
    return made


def split(ratio: str = "7", dividend: str = "0") -> CorporateAction:
    ts = midnight_ns(date.fromisoformat(EX_DATE), zone("America/New_York"))
    ratio_, cash = Decimal(ratio), Decimal(dividend)
    return CorporateAction(ts, "t/actions", NAME, EX_DATE, ratio_, cash, "USD", 645.57)


def fill(log, *actions: CorporateAction, bad: bool = True) -> None:
    """Append the sessions, the actions and all bars to a log."""
    log.append(FeedDefined(0, "t/minute", "made", "minute", consolidated=True))
    one = (Decimal(1), Decimal("0.01"), "America/New_York")
    log.append(InstrumentDefined(0, NAME, NAME, "STK", "XNYS", "USD", *one))
    log.extend([*held(), *actions])
    found = bars(bad)
    log.append(ImportStarted(0, f"made {bad}", "t/minute", "made", "[]"))
    log.extend(found)
    times = (found[0].ts, found[-1].ts)
    log.append(ImportFinished(0, f"made {bad}", len(found), len(found), 0, *times))
    log.commit(sync=False)


def replayed(place: Path, strategy: str, parameters, *actions, bad: bool, prices: str = "raw", **options):
    """Replay the sessions through a strategy, the file's code and class, without commissions.

    Returns the run and the log.
    """
    log = MemoryLog(clock=lambda: 1)
    fill(log, *actions, bad=bad)
    path = place / "strategy.py"
    path.write_text(strategy)
    assumed = ReplayOptions(commission="zero", data=DataOptions(prices=prices), **options)
    spec = StrategySpec(str(path), parameters)
    return Replay(place / "log", log.reader(), Period("2014-06-05", EX_DATE), [spec], assumed).run(), log
