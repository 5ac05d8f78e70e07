"""The folds of a log's past: what a live session, or the proof of one, starts from."""

import msgspec

from app.composition.world import World
from core.events import DEFINITIONS, MARKET_DATA, SessionStarted
from core.ports import EntryReader, Selection
from projections.sessions import Sessions


class Past(msgspec.Struct, frozen=True):
    """The folds of everything that the log holds up to a seq, and the number of its sessions."""

    world: World
    sessions: int


def past_of(
    reader: EntryReader, currency: str, upto: int | None = None, *, delayed_data: bool = False
) -> Past:
    """Fold the log's past up to a seq (inclusive): definitions, orders, executions, cash."""
    sessions = Sessions()
    definitions = [e for b in reader.entries(Selection(types=DEFINITIONS, last_seq=upto)) for e in b]
    for entry in definitions:
        sessions.apply(entry)
    world = World(sessions, definitions, currency)
    world.go_live(delayed_data=delayed_data)
    types = (world.types - DEFINITIONS - set(MARKET_DATA)) | {SessionStarted}
    count = 0
    for batch in reader.entries(Selection(types=types, last_seq=upto)):
        for entry in batch:
            count += isinstance(entry.event, SessionStarted)
            world.apply(entry)
    return Past(world, count)
