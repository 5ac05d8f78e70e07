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

from adapters.replay.recorded import RecordedSource, SilentBroker
from adapters.replay.source import LogSource
from app.composition.assembling import assemble
from app.composition.definitions import definitions_of
from app.composition.figures import Began, figures
from app.composition.past import past_of
from app.composition.ranging import warmed
from app.composition.seating import Seated, seat
from app.composition.trading_rules import rules_of
from app.composition.world import World
from app.live.source import LATE_NS
from app.live.starting import instruments_of, warm_up_of
from app.live.warming import bar_feeds, source_of
from app.replay.comparing import first_of
from app.replay.recorded import Recorded, specs_of
from app.version import VERSION
from core.agenda import Agenda
from core.clock import iso
from core.errors import ExitCode, TapeError
from core.events import (
    AccountMarked,
    CashAdjusted,
    CommissionReported,
    Entry,
    Event,
    Filled,
    HoldEnded,
    OrderAttempted,
    SessionEnded,
    types_of,
)
from core.money import ZERO
from core.ports import Selection, entries_of
from core.views import Position
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader
from eventstore.runs.writer import RunWriter

_DECISIONS = types_of("decision")


class Differs(TapeError):
    """A recorded session did not come out as it was recorded; the message names the first difference."""

    exit_code = ExitCode.FOUND


def prove(root: Path, recorded: Recorded) -> RunReader:
    """Replay a recorded session and publish the run; raises `Differs` if it decided otherwise."""
    reader = LogReader(root)
    proof = Proof(root, reader, recorded)
    run = proof.run()
    before = [e for b in reader.entries(_within(recorded, _DECISIONS)) for e in b]
    after = list(entries_of(run, _DECISIONS))
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
        self._rules = rules_of(recorded.started).renewed()
        self._seated: list[Seated] = seat(specs_of(recorded.started))

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
        rules = self._rules
        if rules.limits.rules:
            identity.append([one.source for one in rules.limits.rules])
        if rules.sizing.own is not None:
            identity.append(rules.sizing.own.source)
        return blake2b(msgspec.json.encode(identity, order="deterministic"), digest_size=6).hexdigest()

    def _warm_up(self) -> LogSource | None:
        return source_of(self._reader, warm_up_of(self._recorded.started))

    def run(self) -> RunReader:
        """Replay the session and publish what came of it."""
        begun = time.perf_counter_ns()
        told, rules = self._recorded, self._rules
        started, account = told.started, told.started.account
        world = past_of(self._reader, rules.currency, upto=told.first_seq).world
        priced = instruments_of(started)
        ranges = warmed(rules.exits, self._reader, world.sessions, priced, told.first_seq, started.ts)
        source = RecordedSource(self._reader, told.first_seq + 1, told.last_seq)
        writer = RunWriter(self._root, source.ordinals)
        try:
            loop = assemble(
                writer,
                world,
                SilentBroker(),
                Agenda(),
                self._seated,
                rules,
                session=started.session,
                account=account,
                priced=frozenset(priced),
                ranges=ranges,
                made=bar_feeds(self._seated),
                late_ns=LATE_NS,
            )
            loop.record(started, 0, None)
            loop.run(source, started.session, started.ts, self._warm_up())
            counts = writer.counts()
            facts = [e for b in self._reader.entries(_within(told, _FACTS)) for e in b]
            summary = self._summary(source, facts)
            summary |= figures(world, account, rules.currency, counts, self._began(account), facts)
            meta = {"published_ns": time.time_ns(), "seconds": (time.perf_counter_ns() - begun) / 1e9}
            return writer.publish(self.run_id, summary, meta)
        except BaseException:
            writer.abandon()
            raise

    def _began(self, account: str) -> Began:
        world = past_of(self._reader, self._rules.currency, upto=self._recorded.first_seq).world
        held = (_at_cost(world, p) for p in world.positions.open_positions() if p.account == account)
        equity = sum(held, world.account.cash(account, self._rules.currency))
        return Began(equity, world.account.commissions(account, self._rules.currency))

    def _summary(self, source: RecordedSource, facts: Sequence[Entry]) -> dict[str, Any]:
        started = self._recorded.started
        day = definitions_of(self._reader).date(started.ts) or iso(started.ts)[:10]
        return {
            "period": day,
            "parts": [{"feed": "ib/stream"}],
            "content": [self._recorded.first_seq, self._recorded.last_seq],
            "session": started.session,
            "mode": started.mode,
            "first_ts": source.first_ts,
            "last_ts": _last_ts(source, facts),
            "account": started.account,
            "strategies": [{**s.described(), "spec": s.found.name} for s in self._seated],
            "options": {
                "cash": "as at the broker",
                "currency": self._rules.currency,
                "commission": "as charged",
                "latency_ms": "as it was",
                "partial_fills": "as they came",
            },
            "config": msgspec.json.decode(started.config),
            "config_hash": started.config_hash,
            "code_version": VERSION,
            "fill_model": f"recorded ({started.fill_model})",
            "risk_profile": started.risk_profile,
            "exits": self._rules.exits.name,
            "inputs": source.inputs,
            "orders": sum(isinstance(e.event, OrderAttempted) and e.event.version == 1 for e in facts),
            "fills": len(_filled(facts, started.account)),
        }


def _filled(facts: Sequence[Entry], account: str) -> set[str]:
    return {e.event.exec_id for e in facts if isinstance(e.event, Filled) and e.event.account == account}


def _at_cost(world: World, held: Position) -> Decimal:
    """Return what a position that a session began with had cost: there is no price yet to value it at."""
    kinds = {item.instrument: item.kind for item in world.sessions.instruments()}
    if kinds.get(held.instrument) == "FUT":
        return ZERO  # a future moves cash by its result only
    return held.quantity * held.average_cost * world.positions.multiplier(held.instrument)


_FACTS = frozenset[type[Event]](
    {OrderAttempted, Filled, CommissionReported, CashAdjusted, AccountMarked, SessionEnded}
)


def _last_ts(source: RecordedSource, facts: Sequence[Entry]) -> int | None:
    """Return when the session was over: what its watchers say last may bear the end of the exchange's day."""
    ended = [e.event.ts for e in facts if isinstance(e.event, SessionEnded)]
    return source.last_ts if source.last_ts is None else min([source.last_ts, *ended])


def _within(recorded: Recorded, types: frozenset[type[Event]]) -> Selection:
    return Selection(first_seq=recorded.first_seq, last_seq=recorded.last_seq, types=types)
