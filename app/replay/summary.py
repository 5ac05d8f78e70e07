"""What a run says of itself when it has been played: its summary, and the figures that `--json` prints of it.

Reads the folds and counters that a replay ended with; decides nothing.
"""

from typing import Any, NamedTuple

import msgspec

from adapters.replay.broker import SimulatedBroker
from adapters.replay.deriving import DerivedSource
from adapters.replay.source import LogSource
from app.composition.world import World
from app.replay import assumptions
from app.replay.identity import ACCOUNT, Identity
from app.version import VERSION
from core.money import ZERO, money, plain
from eventstore.runs.proof import HASH_VERSION
from eventstore.runs.reader import RunReader
from eventstore.runs.writer import RunRecorder


class Played(NamedTuple):
    """What a replay ended with: the folds, the broker, the recorder, and what was read of the log."""

    world: World
    broker: SimulatedBroker
    writer: RunRecorder
    source: LogSource
    inputs: DerivedSource | LogSource


def summary(identity: Identity, played: Played) -> dict[str, Any]:
    """Return all that a run states, in plain values."""
    return {**_told(identity, played), **_counted(identity, played)}


def _told(identity: Identity, played: Played) -> dict[str, Any]:
    """Return what was replayed, and what it assumed."""
    plan, options = identity.plan, identity.options
    return {
        "period": str(plan.period),
        "parts": msgspec.to_builtins(plan.parts),
        "content": msgspec.json.decode(plan.content),
        "first_ts": played.source.first_ts,
        "last_ts": played.source.last_ts,
        "account": ACCOUNT,
        "strategies": [{**seated.described(), "spec": seated.found.name} for seated in identity.seated],
        "options": options.described(),
        "config": msgspec.json.decode(identity.config),
        "config_hash": identity.config_hash,
        "code_version": VERSION,
        "hash_version": HASH_VERSION,
        "fill_model": identity.fill_rules,
        "hours": assumptions.hours(plan, options.data),
        "prices": assumptions.prices(plan),
        "risk_profile": options.limits.profile,
        "exits": options.exits.name,
    }


def _counted(identity: Identity, played: Played) -> dict[str, Any]:
    """Return what came of it."""
    options, counts = identity.options, played.writer.counts()
    world, broker, inputs = played.world, played.broker, played.inputs
    equity = world.account.equity(ACCOUNT, options.currency)
    carried = options.carried.orders if options.carried else ()
    return {
        "inputs": played.source.inputs,
        "filled_forward": inputs.filled if isinstance(inputs, DerivedSource) else 0,
        "made_bars": inputs.made if isinstance(inputs, DerivedSource) else 0,
        "intents": counts.get("order_intended", 0) - len(carried),
        "refused": counts.get("risk_refused", 0),
        "orders": broker.orders,
        "fills": broker.fills,
        "commissions": plain(world.account.commissions(ACCOUNT, options.currency)),
        "start_equity": _start_equity(identity),
        "end_equity": None if equity is None else plain(money(equity)),
        "max_drawdown": plain(world.risk.drawdown_max(ACCOUNT, options.currency) or ZERO),
    }


def _start_equity(identity: Identity) -> str | None:
    carried = identity.options.carried
    if carried is None:
        return plain(money(identity.options.cash))
    return None if carried.equity is None else plain(carried.equity)


def result(run: RunReader) -> dict[str, Any]:
    """Return the figures of a run under the keys that `replay --json` prints."""
    told = run.summary
    keys = (
        "intents",
        "orders",
        "fills",
        "refused",
        "commissions",
        "start_equity",
        "end_equity",
        "max_drawdown",
        "run_hash",
        "decisions_hash",
    )
    return {"run": run.id, "events": told["inputs"], **{key: told.get(key) for key in keys}}
