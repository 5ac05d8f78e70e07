"""Sessions' hours for as long as a session runs: those of the days ahead, as events; looked after each day.

What prepares a session puts the hours of some days into the log. One that is left running would come to the
end of them, and then nothing is open and no silence is missed. The calendars are asked in another process,
because making one takes up to a second. It reads what is defined, and decides nothing.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Protocol

import msgspec

from app.data.definitions import around
from app.live.errand import Errand
from core.clock import DAY_NS, HOUR_NS
from core.events import Event, InstrumentDefined, SessionScheduled
from projections.sessions import Sessions

DAYS_BEFORE, DAYS_AHEAD = 1, 10
DAYS_LEAST = 6
"""With sessions so far ahead nothing is asked: making calendars costs seconds of a processor."""
AGAIN_NS = HOUR_NS // 6
"""After calendars that could not be read, these are asked again."""
WAIT_S = 60.0


class ScheduleOrder(msgspec.Struct, frozen=True):
    """Whose hours are wanted: one instrument of each exchange, and the dates, inclusive."""

    instruments: list[InstrumentDefined]
    first: date
    last: date


class Asking(Protocol):
    """A question on its way."""

    def answer(self) -> list[SessionScheduled] | None:
        """Return the sessions, `None` while it goes on; raises `OSError` if there is no answer."""

    def end(self) -> None:
        """Give it up."""


class CalendarProcess:
    """An `Asking` that another process answers."""

    def __init__(self, order: ScheduleOrder) -> None:
        self._until = time.monotonic() + WAIT_S
        self._errand = Errand("app.live.calendar_child", msgspec.json.encode(order))

    def answer(self) -> list[SessionScheduled] | None:
        """Return the sessions, `None` while it goes on; raises `OSError` if there is no answer."""
        code = self._errand.code
        if code is None:
            if time.monotonic() < self._until:
                return None
            self.end()
            raise TimeoutError(f"calendars took longer than {WAIT_S:g} s")
        try:
            return msgspec.json.decode(self._errand.answer(), type=list[SessionScheduled])
        except msgspec.MsgspecError as error:
            raise OSError(f"asking the calendars ended with code {code}") from error

    def end(self) -> None:
        """Give it up."""
        self._errand.end()


class Schedule:
    """Called by the source at each look, like the operator's commands; never blocks.

    Looks at first, with each new day (UTC), and when an instrument was defined meanwhile, and asks where
    hours come to an end.
    """

    def __init__(
        self,
        sessions: Sessions,
        wanted: Callable[[], Iterable[InstrumentDefined]],
        ask: Callable[[ScheduleOrder], Asking] = CalendarProcess,
    ) -> None:
        self._sessions = sessions
        self._wanted = wanted
        self._ask = ask
        self._asking: Asking | None = None
        self._next = 0
        self._known = 0

    def __call__(self, now: int) -> Sequence[Event]:
        """Return the sessions that the log lacks, once they are known."""
        if self._asking is not None:
            return self._answered(self._asking, now)
        if now >= self._next or self._sessions.count != self._known:
            self._known = self._sessions.count
            self._next = (now // DAY_NS + 1) * DAY_NS
            order = self._order(now)
            try:
                self._asking = self._ask(order) if self._lacks(order, now) else None
            except OSError:  # no process to be had, no room for a file
                self._next = now + AGAIN_NS
        return ()

    def _order(self, now: int) -> ScheduleOrder:
        # What the broker has named may be held; what is wanted may not have been named yet.
        named = [one for one in self._sessions.instruments() if one.con_id is not None]
        first, last = around(now, DAYS_BEFORE, DAYS_AHEAD)
        by_exchange = {one.exchange: one for one in (*named, *self._wanted())}
        return ScheduleOrder([by_exchange[name] for name in sorted(by_exchange)], first, last)

    def _lacks(self, order: ScheduleOrder, now: int) -> bool:
        """Return whether the hours of any exchange come to an end soon, or are not known at all."""
        known = (self._sessions.sessions(one.exchange) for one in order.instruments)
        return any(not days or days[-1].begin < now + DAYS_LEAST * DAY_NS for days in known)

    def _answered(self, asking: Asking, now: int) -> Sequence[Event]:
        try:
            found = asking.answer()
        except OSError:
            self._asking, self._next = None, now + AGAIN_NS
            return ()
        if found is None:
            return ()
        self._asking = None
        new = [one for one in found if self._sessions.session_on(one.exchange, one.date) is None]
        # What becomes known now is of now: the loop's clock follows its inputs.
        return [msgspec.structs.replace(one, ts=now) for one in new]

    def close(self) -> None:
        """Give up what is being asked."""
        if self._asking is not None:
            self._asking.end()
            self._asking = None
