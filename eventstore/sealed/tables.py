"""The tables of a sealed directory: written from the journal's entries, and compared with them one by one.

Nothing is trusted because it was written: what the disk gives back must be what the journal holds. Knows no
archive and no manifest.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from core.errors import CorruptLog
from core.events import Entry, Event, EventType, Unknown
from eventstore.codec import learned
from eventstore.manifests.manifest import TypeExtent
from eventstore.sealed.extents import Extents
from eventstore.tables.parquet import ROW_GROUP_ROWS, TypedFile, TypedWriter, file_name
from eventstore.tables.schema import UNKNOWN, entries_to_batch, kind_of, to_entries


def write_tables(building: Path, batches: Iterable[list[Entry]]) -> dict[str, TypeExtent]:
    """Write one table per event type of what comes in seq order; return what each of them holds."""
    extents: dict[str, Extents] = {}
    with ExitStack() as stack:
        writers: dict[str, TypedWriter] = {}
        for entries in batches:
            for event_type, group in _by_type(entries).items():
                kind = kind_of(event_type)
                if kind.tag not in writers:
                    writers[kind.tag] = stack.enter_context(TypedWriter(building / file_name(kind), kind))
                    extents[kind.tag] = Extents()
                for start in range(0, len(group), ROW_GROUP_ROWS):
                    batch = entries_to_batch(kind, group[start : start + ROW_GROUP_ROWS])
                    extents[kind.tag].add(batch)
                    writers[kind.tag].write(batch)
    return {tag: found for tag in sorted(extents) if (found := extents[tag].result())}


def compare_tables(directory: Path, journal: Iterator[list[Entry]]) -> int:
    """Compare all tables of a directory with the journal's entries, event by event; return how many.

    Raises `CorruptLog` naming the file and the first seq that differs, is missing or is too many.
    """
    unknown = _kept_as_unknown(directory)
    open_tables: dict[type[Event], Iterator[list[Entry]]] = {}
    left: dict[type[Event], list[Entry]] = {}
    count = 0
    for entries in journal:
        count += len(entries)
        rest = _without_unknown(directory, entries, unknown) if unknown else entries
        for event_type, group in _by_type(rest).items():
            if event_type not in open_tables:
                open_tables[event_type] = _read_table(directory, event_type)
                left[event_type] = []
            _compare_group(directory, group, left[event_type], open_tables[event_type])
    for event_type, table in open_tables.items():
        surplus = left[event_type] or next(table, [])
        if surplus:
            raise _surplus(directory, kind_of(event_type), surplus[0].seq)
    if unknown:
        raise _surplus(directory, UNKNOWN, min(unknown))
    return count


def _compare_group(
    directory: Path, group: list[Entry], left: list[Entry], table: Iterator[list[Entry]]
) -> None:
    while len(left) < len(group):
        more = next(table, None)
        if more is None:
            break
        left += more
    found = left[: len(group)]
    del left[: len(group)]
    if found == group:
        return
    differing = [a.seq for a, b in zip(group, found, strict=False) if a != b]
    seq = differing[0] if differing else group[len(found)].seq
    name = file_name(kind_of(type(group[0].event)))
    raise CorruptLog(f"{directory / name}: seq {seq} differs from the journal's")


def _kept_as_unknown(directory: Path) -> dict[int, Entry]:
    if not (directory / file_name(UNKNOWN)).exists():
        return {}
    return {entry.seq: entry for entries in _read_table(directory, Unknown) for entry in entries}


def _without_unknown(directory: Path, entries: list[Entry], unknown: dict[int, Entry]) -> list[Entry]:
    """Compare and take out what was sealed as `Unknown`: the program may know its type by now."""
    rest = []
    for entry in entries:
        kept = unknown.pop(entry.seq, None)
        if kept is None:
            rest.append(entry)
        elif learned(kept) != entry:
            raise CorruptLog(f"{directory / file_name(UNKNOWN)}: seq {entry.seq} differs from the journal's")
    return rest


def _surplus(directory: Path, kind: EventType, seq: int) -> CorruptLog:
    return CorruptLog(f"{directory / file_name(kind)}: holds seq {seq}, which the journal does not")


def _by_type(entries: list[Entry]) -> dict[type[Event], list[Entry]]:
    groups: dict[type[Event], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(type(entry.event), []).append(entry)
    return groups


def _read_table(directory: Path, event_type: type[Event]) -> Iterator[list[Entry]]:
    kind = kind_of(event_type)
    with TypedFile(directory / file_name(kind), kind) as table:
        for group in range(table.groups):
            for batch in table.read(group):
                yield to_entries(kind, batch)
