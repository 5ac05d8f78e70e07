"""A small market in integers: the generator behind the built-in sample. Everything it makes is synthetic.

A fair price walks with clustered volatility and slow trends; venues follow it with one-sided updates,
all in one millisecond when the price moves, so that timestamps repeat as they do in recorded data; trades
print at the touch. Arithmetic is on integers drawn from PCG64's raw output, which numpy keeps stable:
the same seed gives the same events on every machine. Owns no calendar, no file, no log.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from core.events import Event, HaltChanged, Quote, Trade

UNITS = 16
"""Parts of a price tick in which the fair price moves."""
MINUTE_MS = 60_000
_MS_NS = 1_000_000
_STEPS = (3, 4, 6, 9, 13)
"""Largest half step of the fair price in a burst, by volatility level."""
_OFFSETS = (0, 0, 1, 1, 2, 3)
_LOTS = (1, 1, 1, 2, 2, 3, 4, 5, 8, 12)
_DRAWS = 1 << 16


class Profile(NamedTuple):
    """One synthetic instrument: price and spread in ticks; of the `bursts` in a full regular session,
    `trades` in a thousand begin with a trade.
    """

    instrument: str
    tick_size: float
    price: int
    half_spread: int
    venues: tuple[str, ...]
    lot: int
    bursts: int
    trades: int


class Hours(NamedTuple):
    """A session in ms since `midnight` (ns UTC): quotes from `early` on, regular hours `open`..`close`."""

    midnight: int
    early: int
    open: int
    close: int
    late: int


class Incidents(NamedTuple):
    """What goes wrong that day, in ms since midnight; 0 is never."""

    halt: int = 0
    resume: int = 0
    bad_print: int = 0


class Market(msgspec.Struct):
    """Makes one instrument's events of one session, in order of time."""

    feed: str
    profile: Profile
    hours: Hours
    incidents: Incidents
    draws: Iterator[int]
    fair: int = 0
    level: int = 1
    drift: int = 0
    bid: list[int] = []
    ask: list[int] = []
    bid_size: list[int] = []
    ask_size: list[int] = []

    def events(self) -> list[Event]:
        """Simulate the session; deterministic in the draws."""
        profile = self.profile
        self.fair = profile.price * UNITS
        venues = len(profile.venues)
        self.bid, self.ask = [0] * venues, [0] * venues
        self.bid_size, self.ask_size = [0] * venues, [0] * venues
        out: list[Event] = []
        for minute in range(self.hours.early, self.hours.late, MINUTE_MS):
            self._turn()
            for ms in sorted(minute + next(self.draws) % MINUTE_MS for _ in range(self._bursts(minute))):
                if not self.incidents.halt <= ms < self.incidents.resume:
                    self._burst(out, ms)
        self._print_auctions(out)
        self._halt(out)
        self._misprint(out)
        return sorted(out, key=lambda event: event.ts)

    def _turn(self) -> None:
        """Once a minute the volatility may change by a level, once in a while the trend."""
        chance = next(self.draws) % 100
        if chance < 14:
            self.level = max(0, self.level - 1)
        elif chance < 26:
            self.level = min(len(_STEPS) - 1, self.level + 1)
        if next(self.draws) % 25 == 0:
            self.drift = next(self.draws) % 3 - 1

    def _bursts(self, minute: int) -> int:
        """Return how busy a minute is: most at the open, much at the close, little outside of hours."""
        hours = self.hours
        span = 390 * MINUTE_MS
        mean = self.profile.bursts * MINUTE_MS * 100 // span
        if not hours.open <= minute < hours.close:
            weight = 4
        else:
            # A parabola over the session, 2.5 times the middle at the open and 1.9 times at the close.
            length, here = hours.close - hours.open, minute - hours.open
            ends = (2 * here - length) ** 2 * 100 // length**2
            weight = 62 + ends * (95 if here * 2 < length else 58) // 100
        busy = mean * weight * (70 + 20 * self.level) // (100 * 100)
        low = busy * 60 // 100
        count = low + next(self.draws) % max(1, 2 * (busy - low))
        return count // 100 + (next(self.draws) % 100 < count % 100)

    def _burst(self, out: list[Event], ms: int) -> None:
        step = _STEPS[self.level]
        move = next(self.draws) % (2 * step + 1) + next(self.draws) % (2 * step + 1) - 2 * step
        if next(self.draws) % 10 < 3:
            move += self.drift
        self.fair = max(UNITS * 50, self.fair + move)
        regular = self.hours.open <= ms < self.hours.close
        if self.bid[0] and next(self.draws) % 1000 < (self.profile.trades if regular else 150):
            self._trade(out, ms, move)
        before = len(out)
        self._follow(out, ms, self.profile.half_spread * (1 if regular else 4) + self.level)
        if len(out) == before or next(self.draws) % 100 < 35:
            self._resize(out, ms)

    def _trade(self, out: list[Event], ms: int, move: int) -> None:
        """Print a trade at the touch; what is left of the quote shows as an update of its size."""
        buy = move > 0 if next(self.draws) % 10 < 7 else bool(next(self.draws) & 1)
        prices, sizes = (self.ask, self.ask_size) if buy else (self.bid, self.bid_size)
        touch = min(prices) if buy else max(prices)
        venue = prices.index(touch)
        size = (
            self._size()
            if next(self.draws) % 10 < 7
            else self.profile.lot * (1 + next(self.draws) % 90) // 90
        )
        size = max(1, min(size, sizes[venue]))
        out.append(self._print(ms, touch, size, venue))
        if next(self.draws) % 10 < 6:
            left = sizes[venue] - size
            sizes[venue] = left - left % self.profile.lot or self._size()
            out.append(self._quote(ms, venue, bid=not buy))

    def _follow(self, out: list[Event], ms: int, half: int) -> None:
        """Bring the venues' quotes to the fair price: at once where they would cross, some time elsewhere."""
        highest, lowest = (self.fair - half) // UNITS, -((-self.fair - half) // UNITS)
        venues = len(self.profile.venues)
        start = next(self.draws) % venues
        for place in range(venues):
            venue = (start + place) % venues
            worst = 0 if venue == 0 else 2
            slack = highest - self.bid[venue]
            if slack < 0 or (slack > worst and next(self.draws) % 10 < 4):
                self.bid[venue] = highest - self._offset(venue)
                self.bid_size[venue] = self._size()
                out.append(self._quote(ms, venue, bid=True))
            slack = self.ask[venue] - lowest
            if slack < 0 or (slack > worst and next(self.draws) % 10 < 4):
                self.ask[venue] = lowest + self._offset(venue)
                self.ask_size[venue] = self._size()
                out.append(self._quote(ms, venue, bid=False))

    def _resize(self, out: list[Event], ms: int) -> None:
        venue, bid = next(self.draws) % len(self.profile.venues), bool(next(self.draws) & 1)
        if bid:
            self.bid_size[venue] = self._size()
        else:
            self.ask_size[venue] = self._size()
        if (self.bid if bid else self.ask)[venue]:
            out.append(self._quote(ms, venue, bid=bid))

    def _offset(self, venue: int) -> int:
        return 0 if venue == 0 else _OFFSETS[next(self.draws) % len(_OFFSETS)]

    def _size(self) -> int:
        return self.profile.lot * _LOTS[next(self.draws) % len(_LOTS)]

    def _price(self, ticks: int) -> float:
        # Dividing by a whole number of ticks per unit rounds once: 8412 ticks of 0.01 are exactly 84.12.
        return ticks / round(1 / self.profile.tick_size)

    def _print(self, ms: int, ticks: int, size: int, venue: int, conditions: str = "") -> Trade:
        return Trade(
            self.hours.midnight + ms * _MS_NS,
            self.feed,
            self.profile.instrument,
            self._price(ticks),
            float(size),
            self.profile.venues[venue],
            conditions,
        )

    def _quote(self, ms: int, venue: int, *, bid: bool) -> Quote:
        price = self._price(self.bid[venue] if bid else self.ask[venue])
        size = float(self.bid_size[venue] if bid else self.ask_size[venue])
        ts = self.hours.midnight + ms * _MS_NS
        feed, instrument, name = self.feed, self.profile.instrument, self.profile.venues[venue]
        if bid:
            return Quote(ts, feed, instrument, price, size, None, None, name)
        return Quote(ts, feed, instrument, None, None, price, size, name)

    def _print_auctions(self, out: list[Event]) -> None:
        """Add the opening and closing prints: large, at the price of the first and last regular trade."""
        begin, end = (self.hours.midnight + ms * _MS_NS for ms in (self.hours.open, self.hours.close))
        regular = [event for event in out if type(event) is Trade and begin <= event.ts < end]
        size, first = float(self.profile.lot * 150), self.profile.venues[0]
        for ts, like, name in ((begin, regular[0], "opening"), (end, regular[-1], "closing")):
            out.append(msgspec.structs.replace(like, ts=ts, size=size, venue=first, conditions=name))
        out.sort(key=lambda event: event.ts)

    def _halt(self, out: list[Event]) -> None:
        if self.incidents.halt:
            for ms, halted in ((self.incidents.halt, True), (self.incidents.resume, False)):
                ts, reason = self.hours.midnight + ms * _MS_NS, "news pending" if halted else "resumed"
                out.append(HaltChanged(ts, self.feed, self.profile.instrument, halted, reason))
            # The change of state goes before the quotes of its millisecond.
            out.sort(key=lambda event: (event.ts, type(event) is not HaltChanged))

    def _misprint(self, out: list[Event]) -> None:
        """Add a print far off the market, flagged by its venue: recorded, never to be traded on."""
        if not self.incidents.bad_print:
            return
        ts = self.hours.midnight + self.incidents.bad_print * _MS_NS
        last = [event for event in out if type(event) is Trade and event.ts <= ts][-1]
        price = self._price(round(last.price * round(1 / self.profile.tick_size)) * 87 // 100)
        bad = msgspec.structs.replace(last, ts=ts, price=price, conditions="off market", suspicious=True)
        out.append(bad)


def draws(seed: int, *names: str) -> Iterator[int]:
    """Return an endless stream of raw 64-bit draws that depends on `seed` and `names` alone."""
    words = [seed, *(int.from_bytes(name.encode(), "big") for name in names)]
    generator = np.random.PCG64(np.random.SeedSequence(words))
    while True:
        yield from generator.random_raw(_DRAWS).tolist()
