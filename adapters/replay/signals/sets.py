"""A file of signals as an import set: what it says is its identity, so reading it again changes nothing.

A file that is understood otherwise than before (another mapping, symbols that became known) is another set of
rows; the projection takes the same signal twice as one.
"""

from collections.abc import Iterator, Sequence

import msgspec

from adapters.replay.importing import Definitions, FileSlice, ImportSet, digest_of
from adapters.replay.signals.reading import SignalReading
from core.events import Event, SignalReceived

_ENCODER = msgspec.json.Encoder(order="deterministic")
BATCH = 5_000


def signal_set(source: str, reading: SignalReading, content: bytes) -> ImportSet:
    """Return what was read of a file, whose bytes are `content`, as an import set of the feed `signals/…`."""
    digest = digest_of(content + _ENCODER.encode([reading.words, reading.items]))
    rows = (FileSlice(reading.file, digest, 1, len(reading.items)),)
    # In order of time: what a replay takes between two ticks must not depend on the order of lines.
    items = sorted(reading.items, key=lambda item: item.ts)

    def batches(_slices: Sequence[FileSlice]) -> Iterator[list[Event] | Definitions]:
        for first in range(0, len(items), BATCH):
            yield list(items[first : first + BATCH])

    return ImportSet(f"signals/{source}", reading.words, rows if items else (), lambda: (), batches)


def spoken_of(reading: SignalReading) -> list[str]:
    """Return the instruments that have signals, sorted."""
    return sorted({item.instrument for item in reading.items if isinstance(item, SignalReceived)})
