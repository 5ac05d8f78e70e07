"""What happens to an order when it reaches the simulated broker: refused, or given its times and prices.

Decides when an order may fill first and when it ends by itself, by the instrument's hours and the fill mode;
keeps nothing of the order. Reads prices and sessions only.
"""

from decimal import Decimal

from core.clock import HOUR_NS, MINUTE_NS, NEVER, iso
from core.matching import Hours, Resting, close_in_bars
from core.matching.cutoffs import BAR_CUTOFF_NS, cutoff_ns
from core.price_steps import steps_of
from core.views import BookView, InstrumentsView

_IMMEDIATE = frozenset({"IOC", "FOK"})


class Admission:
    """Admits an instrument's orders.

    `next_open` lets market orders in bar mode wait for the next bar's open. There, prices are rounded to
    valid ones unless they are `adjusted`.
    """

    def __init__(
        self,
        instrument: str,
        hours: Hours,
        book: BookView,
        instruments: InstrumentsView,
        *,
        in_bars: bool,
        adjusted: bool,
        next_open: bool,
    ) -> None:
        self._instrument = instrument
        self._hours = hours
        self._book = book
        self._instruments = instruments
        self._in_bars = in_bars
        self._rounds = in_bars and not adjusted
        self._next_open = next_open
        self._lasting = False  # whether it is known not to expire
        self._plain = False  # whether that is so, in tick mode
        self._day = (0, 0)  # from when to before when orders for the day end at the latter

    def admit(self, order: Resting, ts: int) -> str:
        """Give an order its times and prices; return why it is refused, or nothing."""
        intent = order.intent
        begin, end = self._day
        if (
            self._plain
            and begin <= ts < end
            and intent.tif == "DAY"
            and not intent.outside_rth
            and order.type != "MOC"
        ):
            order.expires = end  # hot: what all of the below comes to, as a rule
            return ""
        tif = intent.tif
        order.immediate = tif in _IMMEDIATE
        if not self._lasting and (refused := self._expired(ts)):
            return refused
        if order.type == "MOC":
            return self._at_close(order, ts)
        if tif == "OPG":
            order.opens = self._hours.next_open(ts)
        elif self._in_bars:
            self._in_bar_mode(order, ts)
            if order.due is not None:
                return ""
        if tif == "DAY":
            order.expires = self._end_of_day(order, ts)
        elif tif == "GTD":
            assert intent.good_till is not None
            if intent.good_till <= ts:
                return f"GTD: {iso(intent.good_till)} was past when the order arrived"
            order.expires = intent.good_till
        return ""

    def renew(self, order: Resting, ts: int) -> None:
        """Let an order that rests end when a change of its time in force says; at once if that is past."""
        till = order.intent.good_till
        order.expires = NEVER
        if order.intent.tif == "DAY":
            order.expires = self._end_of_day(order, ts)
        elif order.intent.tif == "GTD" and till is not None:
            order.expires = max(till, ts)

    def round_prices(self, order: Resting, limit: Decimal | None, stop: Decimal | None) -> None:
        """Round an order's prices to valid ones in bar mode, unless prices are adjusted."""
        if not self._rounds or (limit is None and stop is None):
            return
        steps = steps_of(self._instruments.instrument(self._instrument))
        if limit is not None:
            order.limit = float(steps.nearest(limit))
        if stop is not None and order.type != "TRAIL":
            order.stop = float(steps.nearest(stop))

    def _in_bar_mode(self, order: Resting, ts: int) -> None:
        intent = order.intent
        self.round_prices(order, intent.limit, intent.stop)
        if order.type != "MKT" or order.immediate:
            return
        if not (intent.outside_rth or self._hours.regular(ts)):
            order.opens = self._hours.next_open(ts)
        elif self._next_open:
            order.opens = ts
        elif intent.tif in ("DAY", "GTC") and self._waits_for_the_close(order, ts):
            # As a market-on-close: what the session's bar will say is known then.
            due = self._hours.next_close(ts)
            if ts > due - BAR_CUTOFF_NS:
                order.opens = self._hours.next_open(ts)
            elif due != NEVER:
                order.due = due

    def _waits_for_the_close(self, order: Resting, ts: int) -> bool:
        """Return whether an order within a session has no fresh price before the bar of all of it."""
        if not self._in_sessions() or self._hours.session(ts) is None:
            return False
        return close_in_bars(order, self._book, ts) is None

    def _expired(self, ts: int) -> str:
        definition = self._instruments.instrument(self._instrument)
        if not definition.expiry:
            self._lasting = True
            self._plain = not self._in_bars
            return ""
        session = self._hours.session(ts)
        today = session.date if session is not None else iso(ts, definition.timezone)[:10]
        last = definition.expiry if "-" in definition.expiry else _dashed(definition.expiry)
        return f"{definition.instrument} expired on {last}" if today > last else ""

    def _at_close(self, order: Resting, ts: int) -> str:
        session = self._hours.session(ts)
        if session is not None and ts >= session.close and not self._in_bars:
            return f"market on close: the session closed at {iso(session.close, session.timezone)}"
        due = self._hours.next_close(ts)
        if due == NEVER:
            return "market on close: no session is known that it could close with"
        exchange = self._instruments.instrument(self._instrument).exchange
        cutoff = cutoff_ns(exchange, in_bars=self._in_bars)
        if ts > due - cutoff:
            zone = session.timezone if session is not None else "UTC"
            before = f"{cutoff / MINUTE_NS:g} minute{'' if cutoff == MINUTE_NS else 's'}"
            return f"market on close: too late, the last is taken {before} before {iso(due, zone)}"
        order.due = due
        return ""

    def _end_of_day(self, order: Resting, ts: int) -> int:
        """Return when a DAY order ends: with regular hours, or with the day's data if it may fill outside.

        So does one that waits for an open or for a bar of a whole session: what is in a daily bar was traded
        before the close, but is known at the close only.
        """
        opens = order.opens
        if opens is None and self._in_bars and self._waits_for_a_session(ts):
            opens = self._hours.next_open(ts)
        if order.intent.outside_rth or opens is not None:
            session = self._hours.session(ts if opens is None else opens)
            return NEVER if session is None else session.end
        begin, end = self._day
        if not begin <= ts < end:
            end = self._hours.next_close(ts)
            self._day = ts, end
        return end

    def _waits_for_a_session(self, ts: int) -> bool:
        """Return whether the market is closed and the next bar is one of a session."""
        return not self._hours.regular(ts) and self._in_sessions()

    def _in_sessions(self) -> bool:
        """Return whether the last bar was one of a whole session, so that the next will be."""
        bar = self._book.bar
        if bar is None or bar.ts - bar.start <= HOUR_NS:  # as a rule: no need to ask for the session
            return False
        session = self._hours.session(bar.ts - 1)
        return session is not None and bar.start <= session.open and bar.ts >= session.close


def _dashed(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}"
