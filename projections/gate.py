"""Whether orders may leave: a fold over what the broker, the operator and reconciliation said.

It fails closed: without a link that is up and a reconciliation finished since, nothing leaves. A halt stops
all but cancels and outlasts sessions, until the operator resumes; it may rise to a higher level, never fall
to a lower one. A session that only observes sends nothing. An instrument with a break is closed, for the
account that has it: a log may serve sessions of several, one after the other. One whose
data are not live, or not known to be, or whose venue halted it, takes no entries, nor does one with a
position whose stop or target is not at the broker: that one needs orders that reduce it. A replay has no
gate.
"""

from collections.abc import Callable
from typing import get_args

from core.events import (
    BreakAccepted,
    BreakFound,
    BreakResolved,
    ConnectionChanged,
    DataStateChanged,
    HaltChanged,
    HaltLevel,
    HaltRequested,
    ReconciliationFinished,
    ReconciliationStarted,
    SessionStarted,
    TradingResumed,
)
from core.order_rules import CLOSING
from projections.base import Projection, State

UNPROTECTED = "unprotected"
"""The kind of break that says: what is held, or may be, has no stop at the broker."""
EXIT_REFUSED = "exit_refused"
"""The kind of break that says: a take-profit is not at the broker. Its stop is."""
ENTRIES_ONLY = frozenset((UNPROTECTED, EXIT_REFUSED))
"""The kinds of breaks that close an instrument for entries only."""
STANDING = frozenset(("other_client", "duplicate_order", "overfilled", "lost_order"))
"""The kinds of breaks that are still there once they are accepted: each later look finds them."""
HALT_LEVELS: tuple[str, ...] = get_args(HaltLevel)
"""From the mildest to the strongest."""
_USABLE = frozenset(("up", "upstream_up", "data_lost"))
"""With these orders may leave once reconciled; whatever else a link may be, they may not."""
_FOR_GOOD = frozenset(("given_up", "refused", "read_only"))
"""After these none will leave in the session; all else passes, or ends in one of these."""


class GateState(State, kw_only=True):
    """Snapshot of `Gate`."""

    link: str
    link_reason: str
    reconciled: bool
    halt: str
    halt_reason: str
    observing: bool
    halts: int
    accepted: dict[str, list[BreakFound]]
    breaks: dict[str, list[BreakFound]]
    data: dict[str, str]
    paused: dict[str, str]
    account: str = ""


class Gate(Projection):
    """Implements `core.views.GateView`. `delayed_data` tells whether delayed prices may be traded on.

    `halts` counts the halts ever asked for.
    """

    name = "gate"
    version = 3
    state_type = GateState

    def __init__(self, *, delayed_data: bool = False) -> None:
        self.link = "down"
        self.halt = ""
        self.reconciled = False
        self.observing = False
        self.halts = 0
        self._link_reason = "not connected yet"
        self._halt_reason = ""
        self._account = ""  # whose session it is; empty before one began
        self._breaks: dict[str, list[BreakFound]] = {}
        self._data: dict[str, str] = {}
        self._paused: dict[str, str] = {}
        self._stand: dict[str, list[BreakFound]] = {}  # accepted, and found again by each look
        self._tradable = frozenset(("live", "delayed")) if delayed_data else frozenset(("live",))
        super().__init__(
            {
                ConnectionChanged: self._connection,
                ReconciliationStarted: self._started,
                ReconciliationFinished: self._finished,
                BreakFound: self._break,
                BreakResolved: self._mended,
                BreakAccepted: self._accepted,
                HaltRequested: self._halted,
                TradingResumed: self._resumed,
                DataStateChanged: self._data_state,
                HaltChanged: self._venue,
                SessionStarted: self._session,
            }
        )

    @property
    def breaks(self) -> dict[str, str]:
        """The instruments that are closed by a break of the session's account, with what it is."""
        own = {instrument: self._own(instrument) for instrument in self._breaks}
        return {instrument: found[0].message for instrument, found in own.items() if found}

    def found(self) -> list[BreakFound]:
        """Return the breaks of all accounts that are open, sorted by instrument."""
        return [event for _, found in sorted(self._breaks.items()) for event in found]

    def accepted(self) -> list[BreakFound]:
        """Return the breaks that were accepted as they stand, sorted by instrument.

        One of the same words is no news, until a later look did not find it.
        """
        return [event for _, found in sorted(self._stand.items()) for event in found]

    @property
    def data(self) -> dict[str, str]:
        """The state of each instrument's market data, as last reported."""
        return dict(self._data)

    @property
    def halt_reason(self) -> str:
        """Why trading is halted; empty if it is not."""
        return self._halt_reason

    @property
    def link_reason(self) -> str:
        """What was last said of the connection."""
        return self._link_reason

    def closed(self, instrument: str) -> str | None:
        """Return why no order in the instrument may leave, or `None`."""
        if self.observing:
            return "this session only observes: it sends nothing"
        if self.halt:
            return f"halted ({self.halt}): {self._halt_reason}"
        if self.link != "up":
            return f"no usable connection: {self._link_reason}"
        if not self.reconciled:
            return "the log is not reconciled with the broker yet"
        return self._broken(instrument, entries=False)

    def passing(self, instrument: str) -> str | None:
        """Return what closes the gate for the moment only, or `None` if it is open or closed for good.

        A connection may come back and books will be compared; a halt or a break waits for the operator.
        """
        if self.observing or self.halt or self.link == "shut" or self._broken(instrument, entries=False):
            return None
        return self.closed(instrument)

    def bars(self, order: str, instrument: str) -> str | None:
        """Return why an order that was approved may not leave, or `None`.

        What closes a position while the account is flattened needs no more than a connection.
        """
        if self.halt == "flatten" and order.startswith(f"{CLOSING}-"):
            return None if self.link == "up" else f"no usable connection: {self._link_reason}"
        return self.closed(instrument)

    def entries_closed(self, instrument: str) -> str | None:
        """Return why no order that adds to a position may leave, or `None`."""
        broken = self._broken(instrument, entries=True)
        if broken is not None:
            return broken
        state = self._data.get(instrument)
        if state is None:
            return f"no market data of {instrument} so far"
        if state not in self._tradable:
            return f"market data of {instrument} are {state}"
        return self._paused.get(instrument)

    def _broken(self, instrument: str, *, entries: bool) -> str | None:
        if instrument not in self._breaks:
            return None
        found = self._own(instrument)
        return next((each.message for each in found if (each.kind in ENTRIES_ONLY) == entries), None)

    def _own(self, instrument: str) -> list[BreakFound]:
        mine = ("", self._account)
        return [e for e in self._breaks[instrument] if not self._account or e.account in mine]

    def _connection(self, event: ConnectionChanged, _seq: int) -> None:
        self._link_reason = event.reason or event.state
        # A link that comes back, in whatever way, is not trusted before the books were compared again.
        self.link = "up" if event.state in _USABLE else "shut" if event.state in _FOR_GOOD else "down"
        self.reconciled = False

    def _session(self, event: SessionStarted, _seq: int) -> None:
        self.observing = event.mode == "observe"
        self._account = event.account
        # A connection does not outlast its process; halts and breaks do.
        self.link, self._link_reason, self.reconciled = "down", "not connected yet", False
        self._data.clear()
        self._paused.clear()

    def _started(self, _event: ReconciliationStarted, _seq: int) -> None:
        self.reconciled = False

    def _finished(self, _event: ReconciliationFinished, _seq: int) -> None:
        self.reconciled = True

    def _break(self, event: BreakFound, _seq: int) -> None:
        found = self._breaks.setdefault(event.instrument, [])
        if all((known.account, known.message) != (event.account, event.message) for known in found):
            found.append(event)

    def _mended(self, event: BreakResolved, _seq: int) -> None:
        at = (event.account, event.kind)
        if not self._keep(event.instrument, lambda e: (e.account, e.kind) != at):
            stand = [
                each for each in self._stand.pop(event.instrument, ()) if (each.account, each.kind) != at
            ]
            self._stand |= {event.instrument: stand} if stand else {}

    def _accepted(self, event: BreakAccepted, _seq: int) -> None:
        over = self._keep(event.instrument, lambda e: e.account != event.account)
        if stand := [each for each in over if each.kind in STANDING]:
            self._stand.setdefault(event.instrument, []).extend(stand)

    def _keep(self, instrument: str, stays: Callable[[BreakFound], bool]) -> list[BreakFound]:
        """Keep the open breaks that stay; return the others."""
        known = self._breaks.pop(instrument, [])
        left = [each for each in known if stays(each)]
        if left:
            self._breaks[instrument] = left
        return [each for each in known if not stays(each)]

    def _halted(self, event: HaltRequested, _seq: int) -> None:
        self.halts += 1
        if not self.halt or HALT_LEVELS.index(event.level) >= HALT_LEVELS.index(self.halt):
            self.halt, self._halt_reason = event.level, event.reason

    def _resumed(self, _event: TradingResumed, _seq: int) -> None:
        self.halt = self._halt_reason = ""

    def _data_state(self, event: DataStateChanged, _seq: int) -> None:
        if event.state == "ended":
            self._data.pop(event.instrument, None)
        else:
            self._data[event.instrument] = event.state

    def _venue(self, event: HaltChanged, _seq: int) -> None:
        self._paused.pop(event.instrument, None)
        if event.halted:
            self._paused[event.instrument] = f"{event.instrument} is halted {event.reason}".strip()

    def describe(self) -> str:
        """Return for example `gate: open` or `gate: no usable connection: not connected yet, 1 break`."""
        why = self.closed("") or "open"
        return f"gate: {why}" + (f", {len(self._breaks)} breaks" if self._breaks else "")

    def state(self) -> GateState:
        """Return a snapshot, sorted by instrument."""
        return GateState(
            applied_seq=self.applied_seq,
            link=self.link,
            link_reason=self._link_reason,
            reconciled=self.reconciled,
            halt=self.halt,
            halt_reason=self._halt_reason,
            observing=self.observing,
            halts=self.halts,
            accepted={name: list(found) for name, found in sorted(self._stand.items())},
            breaks={name: list(found) for name, found in sorted(self._breaks.items())},
            data=dict(sorted(self._data.items())),
            paused=dict(sorted(self._paused.items())),
            account=self._account,
        )

    def restore(self, state: GateState) -> None:
        """Replace the state by a snapshot."""
        self.link, self._link_reason, self.reconciled = state.link, state.link_reason, state.reconciled
        self.halt, self._halt_reason, self.halts = state.halt, state.halt_reason, state.halts
        self.observing = state.observing
        self._stand = {name: list(found) for name, found in state.accepted.items()}
        self._breaks = {name: list(found) for name, found in state.breaks.items()}
        self._data, self._paused = dict(state.data), dict(state.paused)
        self._account = state.account
        self.applied_seq = state.applied_seq
