"""What a log defines: instruments, feeds and sessions, folded before anything refers to them. Reads only."""

from core.events import DEFINITIONS
from core.ports import EntryReader, entries_of
from projections.base import fold
from projections.sessions import Sessions


def definitions_of(reader: EntryReader) -> Sessions:
    """Return the definitions that a log holds."""
    sessions = Sessions()
    fold([sessions], [list(entries_of(reader, DEFINITIONS))])
    return sessions
