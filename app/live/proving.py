"""A recorded session fed through its strategies again: the same decisions, or the first that differs.

What reached the session is read from the log, in log order; what it decided is decided anew. The result is a
run like that of a replay, so that its report, its hashes and `diff` are the same.
"""

import time
from collections.abc import Sequence
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from adapters.replay.recorded import INPUTS, RecordedSource, SilentBroker
from adapters.replay.source import LogSource
from app.composition.assembling import assemble
from app.composition.figures import figures
from app.composition.past import exits_of, limits_of, past_of
from app.composition.ranging import warmed
from app.composition.seating import Seated, StrategySpec, seat
from app.composition.world import World
from app.plugins.rules import renewed
from app.plugins.sizers import renewed_sizing
from app.replay.comparing import first_of
from app.version import VERSION
from core.agenda import Agenda
from core.clock import iso
from core.errors import DataMissing, ExitCode, TapeError
from core.events import (
    CashAdjusted,
    CommissionReported,
    Entry,
    Event,
    Filled,
    HoldEnded,
    ImportResumed,
    ImportStarted,
    OrderAttempted,
    SessionEnded,
    SessionScheduled,
    SessionStarted,
    types_of,
)
from core.holds import HoldRule
from core.money import ZERO
from core.ports import Selection
from core.retry import RetryRule
from core.signals.composite import SignalRules
from core.sizing_rules import SizingRules
from core.views import Position
from eventstore.reader import LogReader
from eventstore.run_writer import RunWriter
from eventstore.runs import RunReader

_FRAMES = frozenset[type[Event]]({SessionStarted, SessionEnded})
_DECISIONS = types_of("decision")
_IMPORTS = frozenset[type[Event]]({ImportStarted, ImportResumed})
_SESSIONS = frozenset(("demo", "live", "observe"))


class Recorded(msgspec.Struct, frozen=True):
    """A session in the log: what it started with, and its first and last seq."""

    started: SessionStarted
    first_seq: int
    last_seq: int


class Differs(TapeError):
    """A recorded session did not come out as it was recorded; the message names the first difference."""

    exit_code = ExitCode.FOUND


def recorded_sessions(reader: LogReader, first: str, last: str) -> list[Recorded]:
    """Return the recorded sessions of these session dates, oldest first.

    A session belongs to the dates of all exchange sessions that it had a part of; one that ran while no
    exchange was open (a holiday, a weekend) to its dates in UTC. One whose process was killed has no end of
    its own: it goes up to the next session or import.
    """
    days = [
        entry.event
        for batch in reader.entries(Selection(types=frozenset({SessionScheduled})))
        for entry in batch
        if isinstance(entry.event, SessionScheduled)
    ]
    frames = [e for batch in reader.entries(Selection(types=_FRAMES | _IMPORTS)) for e in batch]
    found: list[Recorded] = []
    for place, entry in enumerate(frames):
        event = entry.event
        if not isinstance(event, SessionStarted) or event.mode not in _SESSIONS:
            continue
        after = frames[place + 1] if place + 1 < len(frames) else None
        ended = after is not None and isinstance(after.event, SessionEnded)
        end = reader.last_seq() if after is None else after.seq if ended else after.seq - 1
        until = after.event.ts if after is not None and ended else _last_ts(reader, entry.seq, end, event.ts)
        dates = [day.date for day in days if day.begin <= until and event.ts < day.end]
        dates = dates or [iso(event.ts)[:10], iso(until)[:10]]
        if min(dates) <= last and max(dates) >= first:
            found.append(Recorded(event, entry.seq, end))
    return found


def session_of(reader: LogReader, run: RunReader) -> Recorded:
    """Return the recorded session that a run is the proof of."""
    first, last = run.summary["content"]
    for batch in reader.entries(Selection(first_seq=first, last_seq=first)):
        for entry in batch:
            if isinstance(entry.event, SessionStarted):
                return Recorded(entry.event, first, last)
    raise DataMissing(f"run {run.id} is the proof of a session that is not in this log")


def _last_ts(reader: LogReader, first_seq: int, last_seq: int, ts: int) -> int:
    """Return the time that a session without an end had come to."""
    chosen = Selection(first_seq=first_seq, last_seq=last_seq, types=INPUTS)
    return max((e.event.ts for batch in reader.entries(chosen) for e in batch), default=ts)


def specs_of(started: SessionStarted) -> list[StrategySpec]:
    """Return the strategies that a session ran, as they were asked for."""
    told: Sequence[dict[str, Any]] = msgspec.json.decode(started.strategies)
    return [StrategySpec(s["spec"], s["parameters"], s["id"]) for s in told]


def prove(root: Path, recorded: Recorded) -> RunReader:
    """Replay a recorded session and publish the run; raises `Differs` if it decided otherwise."""
    reader = LogReader(root)
    proof = Proof(root, reader, recorded)
    run = proof.run()
    before = [e for b in reader.entries(_within(recorded, _DECISIONS)) for e in b]
    after = [e for b in run.entries(Selection(types=_DECISIONS)) for e in b]
    while len(after) > len(before) and isinstance(after[-1].event, HoldEnded):
        after.pop()  # a session that was killed did not come to the end of what it held
    difference = first_of(before, after)
    if difference is not None:
        raise Differs(
            f"session {recorded.started.session} does not come out as it was recorded: {difference.text}; "
            f"the replay is kept as run {run.id}; next: tape events --from {difference.first_at or 1}"
        )
    return run


class Proof:
    """The replay of one recorded session."""

    def __init__(self, root: Path, reader: LogReader, recorded: Recorded) -> None:
        self._root = root
        self._reader = reader
        self._recorded = recorded
        started = recorded.started
        config = msgspec.json.decode(started.config)
        self._limits, self._exits = renewed(limits_of(started)), exits_of(started)
        self._retry = msgspec.convert(config.get("retry", {}), RetryRule)
        self._hold = msgspec.convert(config.get("hold", {}), HoldRule)
        self._sizing = renewed_sizing(msgspec.convert(config.get("sizing", {}), SizingRules))
        self._signals = msgspec.convert(config.get("signals", {}), SignalRules)
        self._currency = str(config.get("currency", "USD"))
        self._seated: list[Seated] = seat(specs_of(started))

    @property
    def run_id(self) -> str:
        """The id that follows from the log's slice, the strategies and the program."""
        told = self._recorded
        identity = [
            VERSION,
            "proof",
            told.first_seq,
            told.last_seq,
            msgspec.to_builtins(told.started),
            [seated.described() for seated in self._seated],
        ]
        if self._limits.rules:
            identity.append([one.source for one in self._limits.rules])
        if self._sizing.own is not None:
            identity.append(self._sizing.own.source)
        return blake2b(msgspec.json.encode(identity, order="deterministic"), digest_size=6).hexdigest()

    def _bar_feeds(self) -> dict[tuple[str, str | None], str]:
        from app.live.warming import bar_feeds  # noqa: PLC0415  # see below

        return bar_feeds(self._seated)

    def _warm_up(self) -> LogSource | None:
        # A plain replay loads this module too, and has no use for what the broker's history needs.
        from app.live.warming import recorded, source_of  # noqa: PLC0415

        return source_of(self._reader, recorded(self._recorded.started))

    def run(self) -> RunReader:
        """Replay the session and publish what came of it."""
        begun = time.perf_counter_ns()
        told = self._recorded
        started, account = told.started, told.started.account
        world = past_of(self._reader, self._currency, upto=told.first_seq).world
        world.signal_rules = self._signals
        world.sizing = self._sizing
        priced = config_priced(started)
        world.ranges = warmed(self._exits, self._reader, world.sessions, priced, told.first_seq, started.ts)
        source = RecordedSource(self._reader, told.first_seq + 1, told.last_seq)
        writer = RunWriter(self._root, source.ordinals)
        try:
            loop = assemble(
                writer,
                world,
                SilentBroker(),
                Agenda(),
                self._seated,
                limits=self._limits,
                exits=self._exits,
                session=started.session,
                account=account,
                currency=self._currency,
                priced=frozenset(priced),
                retry=self._retry,
                hold=self._hold,
                made=self._bar_feeds(),
            )
            loop.record(started, 0, None)
            loop.run(source, started.session, started.ts, self._warm_up())
            counts = writer.counts()
            facts = [e for b in self._reader.entries(_within(told, _FACTS)) for e in b]
            summary = self._summary(source, facts)
            summary |= figures(world, account, self._currency, counts, self._start(facts, account))
            meta = {"published_ns": time.time_ns(), "seconds": (time.perf_counter_ns() - begun) / 1e9}
            return writer.publish(self.run_id, summary, meta)
        except BaseException:
            writer.abandon()
            raise

    def _start(self, facts: Sequence[Entry], account: str) -> Decimal:
        world = past_of(self._reader, self._currency, upto=self._recorded.first_seq).world
        opening = [
            e.event.amount for e in facts if isinstance(e.event, CashAdjusted) and e.event.account == account
        ]
        held = (_at_cost(world, p) for p in world.positions.open_positions() if p.account == account)
        return sum((*opening, *held), world.account.cash(account, self._currency))

    def _summary(self, source: RecordedSource, facts: Sequence[Entry]) -> dict[str, Any]:
        started = self._recorded.started
        day = iso(started.ts)[:10]
        return {
            "period": day,
            "parts": [{"feed": "ib/stream"}],
            "content": [self._recorded.first_seq, self._recorded.last_seq],
            "session": started.session,
            "mode": started.mode,
            "first_ts": source.first_ts,
            "last_ts": source.last_ts,
            "account": started.account,
            "strategies": [{**s.described(), "spec": s.found.name} for s in self._seated],
            "options": {
                "cash": "as at the broker",
                "currency": self._currency,
                "commission": "as charged",
                "latency_ms": "as it was",
                "partial_fills": "as they came",
            },
            "config": msgspec.json.decode(started.config),
            "config_hash": started.config_hash,
            "code_version": VERSION,
            "fill_model": f"recorded ({started.fill_model})",
            "risk_profile": started.risk_profile,
            "exits": self._exits.name,
            "inputs": source.inputs,
            "orders": sum(isinstance(e.event, OrderAttempted) and e.event.version == 1 for e in facts),
            "fills": len({e.event.exec_id for e in facts if isinstance(e.event, Filled)}),
        }


def _at_cost(world: World, held: Position) -> Decimal:
    """Return what a position that a session began with had cost: there is no price yet to value it at."""
    kinds = {item.instrument: item.kind for item in world.sessions.instruments()}
    if kinds.get(held.instrument) == "FUT":
        return ZERO  # a future moves cash by its result only
    return held.quantity * held.average_cost * world.positions.multiplier(held.instrument)


_FACTS = frozenset[type[Event]]({OrderAttempted, Filled, CommissionReported, CashAdjusted})


def config_priced(started: SessionStarted) -> list[str]:
    """Return the instruments that a session subscribed to."""
    return list(msgspec.json.decode(started.config).get("instruments", []))


def _within(recorded: Recorded, types: frozenset[type[Event]]) -> Selection:
    return Selection(first_seq=recorded.first_seq, last_seq=recorded.last_seq, types=types)
