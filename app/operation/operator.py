"""What the operator may ask of trading, as events: halt, resume, accept, adopt.

The same for a session that runs and for a log that nobody holds: `ask` finds out which, and takes the lock
itself if need be. Decides what a command means; what a halt does to orders is decided elsewhere.
"""

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec

from app.composition.past import past_of
from app.composition.world import World
from app.live.kill_file import KillFile
from app.operation.operating import current_holder, released
from app.operation.writing import writing
from core.errors import DataMissing, LogLocked, StoreError, UsageError
from core.events import (
    BreakAccepted,
    Event,
    HaltLevel,
    HaltRequested,
    HaltVerified,
    PositionAdjusted,
    SessionStarted,
    TradingResumed,
)
from core.money import ZERO, divide, money
from core.ports import Selection, entries_of
from eventstore import control
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader
from projections.gate import HALT_LEVELS

_TRIES = 3
_LOOK_S = 0.1
LIVE_MODES = frozenset(("live", "demo", "observe"))


class Desk(msgspec.Struct, frozen=True):
    """What a command is judged by: the folds, the account, the log's directory."""

    root: Path
    world: World
    account: str


class Reply(msgspec.Struct, frozen=True):
    """Events to record, and the answer once they are durable."""

    events: list[Event]
    answer: dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """What a command came to: by a running session, or by this command itself, with the seq to look from."""

    told: dict[str, Any]
    by: str
    running: bool
    from_seq: int


# -- what commands mean ------------------------------------------------------------------------


def reply(desk: Desk, command: str, args: Mapping[str, Any], ts: int) -> Reply:
    """Return what a command records; raises `UsageError` for one that makes no sense now."""
    return COMMANDS[command](desk, args, ts)


def _halt(desk: Desk, args: Mapping[str, Any], ts: int) -> Reply:
    asked = args.get("level", "halt")
    level = next((level for level in get_args(HaltLevel) if level == asked), None)
    if level is None:
        raise UsageError(f"halt level {asked!r}: expected {', '.join(HALT_LEVELS)}")
    halt = HaltRequested(ts, level, _reason(args), "command")
    now = desk.world.gate.halt if desk.world.gate is not None else ""
    higher = now if now and HALT_LEVELS.index(now) > HALT_LEVELS.index(level) else level
    return Reply([halt], {"halt": higher})


def _resume(desk: Desk, args: Mapping[str, Any], ts: int) -> Reply:
    kill_file, gate = KillFile(desk.root), desk.world.gate
    if not kill_file.exists() and gate is not None and not gate.halt:
        raise UsageError("trading is not halted: there is nothing to resume; next: tape status")
    kill_file.remove()
    return Reply([TradingResumed(ts, _reason(args))], {"halt": ""})


def _accept(desk: Desk, args: Mapping[str, Any], ts: int) -> Reply:
    gate = desk.world.gate
    breaks = gate.breaks if gate is not None else {}
    wanted = args.get("instrument") or None
    chosen = [name for name in breaks if wanted in (None, name)]
    if not chosen:
        what = f"no break in {wanted}" if wanted else "no break"
        known = f"; there is one in {', '.join(breaks)}" if breaks else ""
        raise UsageError(f"{what}: there is nothing to accept{known}; next: tape status")
    reason = _reason(args)
    events: list[Event] = []
    for name in chosen:
        events.append(BreakAccepted(ts, desk.account, name, reason))
        events += _taken_over(desk, name, reason, ts)
    return Reply(events, {"accepted": chosen})


def _taken_over(desk: Desk, instrument: str, reason: str, ts: int) -> list[Event]:
    """Set our position to the broker's, in the ledger of nobody: no strategy made the difference."""
    world, account = desk.world, desk.account
    there = next((p for p in world.reported.reported(account) if p.instrument == instrument), None)
    theirs = there.quantity if there is not None else ZERO
    ours = world.positions.position(account, instrument)
    if theirs == ours.quantity:
        return []
    nobody = world.positions.position(account, instrument, "").quantity
    cost = ours.average_cost
    if there is not None and there.average_cost:
        cost = divide(there.average_cost, world.positions.multiplier(instrument))
    quantity = money(nobody + theirs - ours.quantity)
    return [PositionAdjusted(ts, account, "", instrument, quantity, money(cost), reason)]


def _adopt(desk: Desk, args: Mapping[str, Any], ts: int) -> Reply:
    """Hand what `source` holds to a strategy, at cost: the account's sums stay as they are."""
    instrument, strategy, source = str(args["instrument"]), str(args["strategy"]), str(args.get("source", ""))
    positions, account = desk.world.positions, desk.account
    held = positions.position(account, instrument, source).quantity
    if not held:
        where = f" in {account}" if account else ""
        what = f"{source} holds no {instrument}" if source else f"there is no {instrument} without a strategy"
        raise UsageError(f"{what}{where}, so there is nothing to adopt; next: tape positions")
    cost = positions.position(account, instrument).average_cost
    reason = _reason(args)
    theirs = money(positions.position(account, instrument, strategy).quantity + held)

    def adjusted(owner: str, quantity: Decimal) -> PositionAdjusted:
        return PositionAdjusted(ts, account, owner, instrument, quantity, cost, reason)

    events: list[Event] = [adjusted(source, ZERO), adjusted(strategy, theirs)]
    return Reply(events, {"instrument": instrument, "strategy": strategy, "quantity": str(held)})


def _reason(args: Mapping[str, Any]) -> str:
    return str(args.get("reason") or "asked by the operator")


COMMANDS: dict[str, Callable[[Desk, Mapping[str, Any], int], Reply]] = {
    "halt": _halt,
    "resume": _resume,
    "accept": _accept,
    "adopt": _adopt,
}


# -- asking ------------------------------------------------------------------------------------


def ask(root: Path, command: str, timeout_s: float, currency: str = "USD", **args: Any) -> Answer:
    """Have a command done by the session that holds the log, or do it here; durable on return.

    Raises `UsageError` if it makes no sense now, `DataMissing` without a log, `StoreError` if the holder does
    not answer or cannot do it.
    """
    layout = Layout(root)
    if not layout.exists():
        raise DataMissing(f"{root}: there is no log here; name one with --log DIR")
    for _ in range(_TRIES):
        holder = current_holder(layout)
        if holder:
            told = _ask_holder(root, holder, command, timeout_s, args)
            if told is not None:
                return told
            continue  # it ended before it took the command
        try:
            return _do_here(root, command, currency, args)
        except LogLocked:
            continue  # somebody took it in between
    raise StoreError(f"{root}: the log changes hands all the time; try again")


def _ask_holder(
    root: Path, holder: dict[str, Any], command: str, timeout_s: float, args: dict[str, Any]
) -> Answer | None:
    by, gone = f"process {holder.get('pid')}", released(Layout(root), holder)
    last = LogReader(root).last_seq()
    told = control.wait(root, control.request(root, command, **args), timeout_s, gone)
    if told is None and gone():
        return None
    if told is None:
        raise StoreError(
            f"{root}: {by} holds the log and did not answer within {timeout_s:g} s; "
            f"next: tape kill (works without it)"
        )
    if "refused" in told:
        raise UsageError(told["refused"])
    if "error" in told:
        raise StoreError(f"{root}: {by}: {told['error']}")
    return Answer(told, by, running=True, from_seq=last + 1)


def _do_here(root: Path, command: str, currency: str, args: dict[str, Any]) -> Answer:
    with writing(root) as writer:
        reader = LogReader(root)
        desk = Desk(root, past_of(reader, currency).world, last_account(reader))
        first = writer.journal.last_seq + 1
        told = reply(desk, command, args, time.time_ns())
        for event in told.events:
            writer.journal.append(event)
        writer.journal.commit(sync=True)
    return Answer(told.answer, "this command", running=False, from_seq=first)


def verified(root: Path, answer: Answer, timeout_s: float) -> HaltVerified | None:
    """Wait for what the broker shows once a running session obeyed; `None` after the time."""
    reader, deadline = LogReader(root), time.monotonic() + timeout_s
    chosen = Selection(first_seq=answer.from_seq, types=frozenset({HaltVerified}))
    while True:
        for batch in reader.entries(chosen):
            for entry in batch:
                event = entry.event
                # A level that is not reached ends the attempt, whichever step of it that was.
                if isinstance(event, HaltVerified) and (
                    event.level == answer.told["halt"] or not event.reached
                ):
                    return event
        if time.monotonic() > deadline:
            return None
        time.sleep(_LOOK_S)


def last_account(reader: LogReader) -> str:
    """Return the account of the last session that traded; empty if none ever did."""
    account = ""
    for entry in entries_of(reader, frozenset({SessionStarted})):
        if isinstance(entry.event, SessionStarted) and entry.event.mode in LIVE_MODES:
            account = entry.event.account
    return account
