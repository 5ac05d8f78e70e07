"""What the market did while data were lost: asked of the broker's history, recorded, told late, once, whole.

Gateway and client are the real ones, over loopback, in lock step: the day waits for the client. What is right
is computed from the day that the gateway serves. That the comparison can fail is shown by clients without a
part of the protection.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.ibkr.data.barmaking import BarMaker
from adapters.replay.recorded import INPUTS
from app.composition.seating import StrategySpec
from app.live.proving import Differs, prove
from app.live.request import LiveRequest
from app.live.session import LiveSession
from app.replay.recorded import Recorded as Proven
from core.clock import MINUTE_NS
from core.consolidating import Grid, TradeBars
from core.events import (
    Bar,
    DataGapChanged,
    Event,
    LateBarReported,
    OrderIntended,
    SessionStarted,
    Trade,
)
from core.ports import Selection
from core.resolutions import resolution_of
from core.step import Step
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from tests.conftest import sampled
from tests.live.rig import ACCOUNT, link, new_log
from tests.logs import events_of

STRATEGY = '''
from core.strategy import Parameters, Strategy, Subscription


class P(Parameters, frozen=True, kw_only=True):
    instrument: str = "ZVXA"
    resolution: str = "1m"


class Keeper(Strategy[P]):
    """Keeps every bar it hears, and asks for an order far from the market with each."""

    def __init__(self, params):
        super().__init__(params)
        self.heard = []
        self.gaps = []

    def subscriptions(self):
        return [Subscription(self.params.instrument, resolution=self.params.resolution)]

    def on_bar(self, bar):
        self.heard.append(bar)
        reason = f"{bar.start} after {len(self.heard)}"
        self.buy(bar.instrument, 1, limit=round(bar.close / 2, 2), reason=reason)

    def on_gap(self, gap):
        self.gaps.append(gap.state)
'''
MINUTES = 8
OPEN_NS = 1_751_463_000_000_000_000
LOST = {
    "a reset": "ticks 400: reset run=190_S",
    "a daily restart": "ticks 400: restart seconds=0.1 run=190_S",
    "1100, then 1102": "ticks 400: outage run=190_S end=1102",
    "1100, then 1101": "ticks 400: outage run=190_S end=1101",
}


class Session:
    """A session that hears of bars of ZVXA until the gateway's day has come to a minute after its open."""

    def __init__(
        self,
        gateway: Any,
        sample: Path,
        folder: Path,
        *,
        client: Callable[[LiveSession], None] = lambda _: None,
        resolution: str = "1m",
        minutes: int = MINUTES,
        **settings: Any,
    ) -> None:
        self.root, self.sample = new_log(sample, folder / "log"), sample
        path = folder / "keeper.py"
        path.write_text(STRATEGY)
        self._journal = Journal.open(self.root)
        spec = StrategySpec(f"{path}:Keeper", {"resolution": resolution}, id="keeper")
        request = LiveRequest(
            mode="live", link=link(gateway, **settings), strategies=(spec,), account=ACCOUNT
        )
        self.session = LiveSession(self._journal, request, lambda _: (), watch=self._watch)
        self.session.client._data._bars = {"ZVXA": [resolution]}  # a demo makes none by itself
        self.open = self.session.world.sessions.session_on("XNYS", "2025-07-02").open
        self._until = self.open + minutes * MINUTE_NS
        client(self.session)
        self.strategy: Any = self.session.seated[0].strategy

    def _watch(self, session: LiveSession) -> None:
        if session.client.now >= self._until and not session.client._data.backfill.asking:
            session.stopping = "done"

    def run(self) -> "Session":
        try:
            self.outcome = self.session.run()
        finally:
            self._journal.commit(sync=True)
            self._journal.close()
        return self

    def events(self, *types: type[Event]) -> list[Any]:
        return events_of(self.root, *types)

    def expected(self, resolution: str = "1m") -> list[tuple[Any, ...]]:
        """Return the bars that the gateway's day makes, up to the last one heard."""
        last = self.strategy.heard[-1].start
        bars = day_bars(self.sample, self.session.world.sessions, resolution)
        return [shown(bar) for bar in bars if bar.start <= last]

    def proven(self) -> Proven:
        """Return the session as the log holds it."""
        return Proven(self.events(SessionStarted)[-1], self.outcome.first_seq, self.outcome.last_seq)

    def heard(self) -> list[tuple[Any, ...]]:
        return [shown(bar) for bar in self.strategy.heard]


def shown(bar: Any) -> tuple[Any, ...]:
    return (bar.start, bar.ts, bar.open, bar.high, bar.low, bar.close, bar.volume)


def day_bars(sample: Path, sessions: Any, resolution: str) -> list[Bar]:
    day = sessions.session_on("XNYS", "2025-07-02")
    bars = TradeBars("x", "ZVXA", Grid(resolution_of(resolution), lambda _ts: day))
    chosen = Selection(instruments=frozenset({"ZVXA"}), begin_ts=day.open, end_ts=day.close)
    made: list[Bar] = []
    for chunk in LogReader(sample).market(chosen):
        for event in chunk.events:
            if isinstance(event, Trade):
                if event.ts >= bars.due:
                    made.append(bars.over())
                bars.trade(event)
    return made


@pytest.fixture
def session(ib_gateway: Any, ib_gateway_log: Path, tmp_path: Path) -> Callable[..., Session]:
    def make(faults: str, **options: Any) -> Session:
        gateway = ib_gateway(speed="step", faults=faults, start="open")
        return Session(gateway, ib_gateway_log, tmp_path, **options)

    return make


def ordered_for(lived: Session) -> set[int]:
    """Return the starts of the bars that led to an order."""
    return {int(event.reason.split()[0]) for event in lived.events(OrderIntended)}


@pytest.mark.parametrize("faults", sampled(LOST.values(), 3), ids=LOST)
def test_each_minute_is_heard_once_in_order_and_whole(faults: str, session: Callable[..., Session]) -> None:
    lived = session(faults).run()
    assert lived.heard() == lived.expected()
    late = {bar.start for bar in lived.strategy.heard if bar.late}
    assert len(late) >= 4
    assert lived.strategy.gaps == ["found", "filled"]
    # Nothing is ordered on what is past, and the proof of the session decides the same.
    assert ordered_for(lived) == {bar.start for bar in lived.strategy.heard} - late
    prove(lived.root, lived.proven())
    found, filled = lived.events(DataGapChanged)
    assert (found.instrument, filled.rows, filled.feed) == ("ZVXA", len(late), "ib/live/1min")
    assert filled.begin <= found.begin < found.end <= filled.end
    assert [event.rows for event in lived.session.client.gaps] == [0, len(late)]


def test_a_session_that_begins_at_noon_hears_of_the_morning(
    ib_gateway: Any, ib_gateway_log: Path, tmp_path: Path
) -> None:
    gateway = ib_gateway(speed="step", start="12:00")
    noon = OPEN_NS + 150 * MINUTE_NS
    lived = Session(gateway, ib_gateway_log, tmp_path, minutes=153, start_ns=noon).run()
    assert lived.heard() == lived.expected()
    assert ordered_for(lived) == {bar.start for bar in lived.strategy.heard if not bar.late}
    (found, _) = lived.events(DataGapChanged)
    assert (found.begin, found.end) == (OPEN_NS, noon)
    prove(lived.root, lived.proven())


def test_bars_of_other_lengths_are_made_of_the_minutes(session: Callable[..., Session]) -> None:
    lived = session(LOST["a reset"], resolution="5m", minutes=11).run()
    assert lived.heard() == lived.expected("5m")
    assert [bar.late for bar in lived.strategy.heard] == [True, False]
    assert {event.feed for event in lived.events(LateBarReported)} == {"ib/live/1min", "ib/live/5min"}


def test_what_the_history_refuses_is_told_and_the_session_goes_on(session: Callable[..., Session]) -> None:
    lived = session(f"{LOST['a reset']}; history 1: refuse code=321 text=no_such_thing").run()
    found, failed = lived.events(DataGapChanged)
    assert (found.state, failed.state) == ("found", "failed")
    assert "no such thing (code 321); next: tape fetch ZVXA" in failed.reason
    assert not any(bar.late for bar in lived.strategy.heard)
    assert lived.heard()[-1] == lived.expected()[-1]


def test_a_history_that_breaks_off_is_asked_again_on_the_next_connection(
    session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.data.historypace.IDENTICAL_S", 0)  # else it would take 15 s
    lived = session(f"{LOST['a reset']}; history 1: reset").run()
    assert lived.heard() == lived.expected()
    assert lived.strategy.gaps == ["found", "found", "filled"]


@pytest.mark.extended
def test_nothing_is_asked_for_if_the_configuration_says_so(session: Callable[..., Session]) -> None:
    lived = session(LOST["a reset"], backfill=False).run()
    assert lived.events(DataGapChanged, LateBarReported) == []


# The same with clients that lack a part of it: each must be caught


def forgets_what_it_missed(session: LiveSession) -> None:
    """Go on after a gap as if nothing had been."""
    session.client._data.backfill.found = lambda *_: []  # type: ignore[method-assign]


def asks_at_once(session: LiveSession) -> None:
    """Ask for bars that still run."""
    backfill = session.client._data.backfill
    may_ask = backfill._may_ask
    backfill._may_ask = lambda job, ts, now_ns: may_ask(job, ts + 10**12, now_ns)  # type: ignore[method-assign]


@pytest.mark.parametrize("client", [forgets_what_it_missed, asks_at_once])
def test_a_client_without_a_part_of_it_is_caught(
    client: Callable[[LiveSession], None], session: Callable[..., Session]
) -> None:
    lived = session(LOST["a reset"], client=client).run()
    assert lived.heard() != lived.expected()


def test_a_client_that_tells_bars_of_which_it_heard_a_part_is_caught(
    session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BarMaker, "since", property(lambda _: 0, lambda _self, _ts: None), raising=False)
    lived = session(LOST["1100, then 1102"]).run()
    assert lived.heard() != lived.expected()


def test_a_desk_that_stays_open_for_what_is_past_is_caught(
    session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_if_live(self: Step, seq: int, bar: Any, handler: Callable[[Any], None]) -> None:
        self.present.seq = seq
        handler(bar)

    monkeypatch.setattr(Step, "tell_late", as_if_live)
    lived = session(LOST["a reset"]).run()
    assert ordered_for(lived) & {bar.start for bar in lived.strategy.heard if bar.late}


def test_a_proof_that_is_not_fed_the_late_bars_is_caught(
    session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = session(LOST["a reset"]).run()
    monkeypatch.setattr("adapters.replay.recorded.INPUTS", INPUTS - {LateBarReported})
    with pytest.raises(Differs):
        prove(lived.root, lived.proven())
