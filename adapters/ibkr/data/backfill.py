"""What the market did while nothing was heard of it: spans to fill, questions to the broker's history, bars.

A gap is filled with bars of trades: minutes always, and those of each length that strategies hear of. A bar
that was running when data were lost or came again is asked for once it is over, so that each is whole and
none is missing beside the live ones. It keeps the broker's limits, asks again a few times, and says in the
end what was filled and what was not. Pure but for its own table: it sends nothing, and never makes up a bar.
"""

from collections import deque
from collections.abc import Iterator

from adapters.ibkr.data.barmaking import bar_feed
from adapters.ibkr.data.bars import Ask
from adapters.ibkr.data.historypace import HistoryPace
from adapters.ibkr.data.latebars import Job, size_for, whole
from adapters.ibkr.data.lines import Line, TakeId
from adapters.ibkr.data.staleness import Hours
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import ErrorMessage, HistoricalBars, HistoricalEnd, Message
from core.clock import NEVER, SECOND_NS
from core.events import DataGapChanged, Event, InstrumentDefined

ANSWER_NS = 60 * SECOND_NS
"""How long an answer may take."""
PAUSE_NS = 60 * SECOND_NS
TRIES = 4
"""How often a question is put that is not answered, or too fast by the broker's count; the pause between."""
BEHIND_NS = 2 * SECOND_NS
"""How much later than its end a bar is asked for: the broker's history follows the market."""
OPEN_MAX = 10
"""Questions that wait for their answer at a time; the broker bears 50."""
ASKS_MAX = 30
"""A gap that takes more questions is left to `tape fetch`."""
KEPT = 20
_MINUTE = "1m"
_NO_DATA, _NOTHING, _TOO_FAST = 162, "no data", "pacing violation"


class Backfill:
    """The gaps of a session. `found` takes one, `due` says what to ask, `heard` what came of it."""

    def __init__(self, hours: Hours, *, active: bool = True) -> None:
        self._hours = hours
        self._active = active
        self._jobs: list[Job] = []
        self._pace = HistoryPace()
        self._filled: dict[tuple[str, str], int] = {}  # up to where, by instrument and feed
        self._defined: set[str] = set()
        self.recent: deque[DataGapChanged] = deque(maxlen=KEPT)
        """What was told of gaps last."""

    @property
    def asking(self) -> bool:
        """Whether an answer is awaited."""
        return any(job.req_id is not None for job in self._jobs)

    def speaks_of(self, req_id: int | None) -> str:
        """Return the instrument of a question, or nothing."""
        job = self._job(req_id)
        return "" if job is None else job.line.name

    def lost(self) -> None:
        """Take that the connection is gone: what was asked has to be asked again."""
        for job in self._jobs:
            job.req_id, job.got = None, []

    # -- gaps ----------------------------------------------------------------------------------

    def found(self, line: Line, begin: int, end: int, why: str, ts: int) -> list[Event]:
        """Take that nothing was heard of a line in `begin`..`end`; nothing if its exchange was closed."""
        end = max(
            end, begin + 1
        )  # a clock that stood still: the bar that was running is not whole all the same
        if not self._active or not any(self._spans(line.instrument, begin, end)):
            return []
        told: list[Event] = [self._tell(DataGapChanged(ts, line.name, "found", begin, end, reason=why))]
        for resolution in dict.fromkeys((_MINUTE, *(maker.resolution for maker in line.bars))):
            told += self._want(line, resolution, begin, end, ts)
        return told

    def _want(self, line: Line, resolution: str, begin: int, end: int, ts: int) -> list[Event]:
        for known in self._jobs:
            if known.line.name == line.name and known.resolution == resolution:
                self._jobs.remove(known)  # lost again before it was filled
                begin = min(begin, known.begin)
                break
        begin, end = whole(line.instrument, resolution, self._hours, begin, end)
        job = Job(line, resolution, begin, end)
        job.begin = max(begin, job.told_ts, self._filled.get((line.name, job.feed), 0))
        job.asks = self._asks(line.instrument, job)
        if len(job.asks) > ASKS_MAX:
            return [self._failed(job, f"{len(job.asks)} questions at once are too many", ts)]
        if job.asks:
            self._jobs.append(job)
        return []

    def _spans(self, instrument: InstrumentDefined, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a span in which the exchange was open, or for which no hours are known."""
        sessions = self._hours.sessions(instrument.exchange)
        known = [(each.begin, each.end) for each in sessions]
        if known:  # before the first and after the last one nobody knows
            known = [(0, known[0][0]), *known, (known[-1][1], NEVER)]
        for first, last in known or [(0, NEVER)]:
            if max(begin, first) < min(end, last):
                yield max(begin, first), min(end, last)

    def _asks(self, instrument: InstrumentDefined, job: Job) -> list[Ask]:
        size = size_for(job.resolution)
        step = size.span_s * SECOND_NS
        return [
            Ask(start, min(start + step, last), size, "TRADES", regular_hours=False)
            for first, last in self._spans(instrument, job.begin, job.end)
            for start in range(first, last, step)
        ]

    # -- questions -----------------------------------------------------------------------------

    def due(
        self, requests: Encoder, take_id: TakeId, ts: int, now_ns: int
    ) -> tuple[list[bytes], list[Event]]:
        """Return the questions whose turn it is, and what becomes of those that are not answered.

        `ts` is the session's time, by which bars are over, `now_ns` the monotonic one.
        """
        out: list[bytes] = []
        told: list[Event] = []
        for job in [job for job in self._jobs if job.req_id is not None]:
            if now_ns - job.asked_ns > ANSWER_NS:
                out.append(requests.cancel_historical_data(job.req_id or 0))
                told += self._again(job, f"no answer within {ANSWER_NS // SECOND_NS} s", ts, now_ns)
        waiting = sum(job.req_id is not None for job in self._jobs)
        for job in self._jobs:
            if waiting < OPEN_MAX and self._may_ask(job, ts, now_ns):
                waiting += 1
                out.append(self._ask(job, requests, take_id(), now_ns))
        return out, told

    def _may_ask(self, job: Job, ts: int, now_ns: int) -> bool:
        if job.req_id is not None or now_ns < job.not_before_ns or ts < job.end + BEHIND_NS:
            return False
        return now_ns >= self._pace.free_ns(*_kind(job))

    def _ask(self, job: Job, requests: Encoder, req_id: int, now_ns: int) -> bytes:
        ask = job.asks[0]
        self._pace.asked(*_kind(job), now_ns)
        job.req_id, job.asked_ns, job.tries = req_id, now_ns, job.tries + 1
        return requests.req_historical_data(
            req_id,
            contract_of(job.line.instrument),
            end=ask.until,
            duration=ask.duration,
            bar_size=ask.size.asked,
            what=ask.what,
            regular_hours=ask.regular_hours,
        )

    # -- answers -------------------------------------------------------------------------------

    def heard(self, message: Message, ts: int, now_ns: int) -> list[Event]:
        """Return what a message says, if it belongs to a question."""
        job = self._job(getattr(message, "req_id", None))
        if job is None:
            return []
        if isinstance(message, HistoricalBars):
            job.got += message.bars
        elif isinstance(message, HistoricalEnd):
            return self._answered(job, ts)
        elif isinstance(message, ErrorMessage) and not 2100 <= message.code < 2200:
            return self._refused(job, message, ts, now_ns)
        return []

    def _refused(self, job: Job, said: ErrorMessage, ts: int, now_ns: int) -> list[Event]:
        words = said.text.lower()
        if said.code == _NO_DATA and _NOTHING in words:
            return self._answered(job, ts)
        why = f"{said.text} (code {said.code})"
        if said.code == _NO_DATA and _TOO_FAST in words:
            return self._again(job, why, ts, now_ns)
        return [self._failed(job, why, ts)]

    def _again(self, job: Job, why: str, ts: int, now_ns: int) -> list[Event]:
        if job.tries >= TRIES:
            return [self._failed(job, why, ts)]
        job.req_id, job.not_before_ns = None, now_ns + PAUSE_NS
        return []

    def _answered(self, job: Job, ts: int) -> list[Event]:
        """Go on with the next question of a job, or tell its bars."""
        job.keep()
        if job.asks:
            return []
        self._jobs.remove(job)
        name, feed = job.line.name, job.feed
        self._filled[name, feed] = job.end
        bars, bad = job.bars(self._hours, ts)
        defined = [] if feed in self._defined else [bar_feed(job.resolution, ts)]
        self._defined.add(feed)
        why = f"{len(bad)} bars are no bars: {bad[0]}" if bad else ""
        filled = DataGapChanged(ts, name, "filled", job.begin, job.end, feed, len(bars), why)
        return [*defined, *bars, self._tell(filled)]

    def _failed(self, job: Job, why: str, ts: int) -> Event:
        if job in self._jobs:
            self._jobs.remove(job)
        name = job.line.name
        reason = f"{why}; next: tape fetch {name}, once the session is over"
        return self._tell(DataGapChanged(ts, name, "failed", job.begin, job.end, job.feed, reason=reason))

    def _tell(self, event: DataGapChanged) -> DataGapChanged:
        self.recent.append(event)
        return event

    def _job(self, req_id: int | None) -> Job | None:
        return next((job for job in self._jobs if req_id is not None and job.req_id == req_id), None)


def _kind(job: Job) -> tuple[object, object, str, int]:
    """Return what the broker's limits tell questions apart by."""
    ask = job.asks[0]
    contract = contract_of(job.line.instrument)
    return (contract, ask), contract.con_id or contract, ask.what, ask.size.seconds
