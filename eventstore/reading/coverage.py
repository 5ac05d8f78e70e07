"""What market data a log holds, by type, feed and instrument: from manifests where they suffice.

A sealed part whose type has one feed or one instrument needs no look inside; otherwise three columns
of it are read. The hot tail is counted event by event.
"""

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np

from core.events import MARKET_DATA, Event, Trade
from core.ports import Coverage, MarketChunk
from eventstore.manifests.manifest import Extent, SealedPart
from eventstore.tables import columns
from eventstore.tables.parquet import TypedFile, file_name
from eventstore.tables.schema import kind_of

Key = tuple[type[Event], str, str]


def merge(found: Iterable[tuple[Key, Extent]]) -> list[Coverage]:
    """Return one `Coverage` per key, in a fixed order."""
    total: dict[Key, Extent] = {}
    for key, extent in found:
        total[key] = total[key].merge(extent) if key in total else extent
    order = sorted(total.items(), key=lambda item: (item[0][2], item[0][1], kind_of(item[0][0]).tag))
    return [
        Coverage(kind, feed, instrument, e.count, e.first_seq, e.last_seq, e.first_ts, e.last_ts)
        for (kind, feed, instrument), e in order
    ]


def of_part(part: SealedPart) -> Iterator[tuple[Key, Extent]]:
    """Yield what a sealed part holds."""
    for event_type in MARKET_DATA:
        types = part.manifest.types.get(kind_of(event_type).tag)
        if types is None:
            continue
        if len(types.feeds) == 1:
            feed = next(iter(types.feeds))
            for instrument, extent in types.instruments.items():
                yield (event_type, feed, instrument), extent
        elif len(types.instruments) == 1:
            instrument = next(iter(types.instruments))
            for feed, extent in types.feeds.items():
                yield (event_type, feed, instrument), extent
        else:
            yield from _look_inside(part, event_type)


def _look_inside(part: SealedPart, event_type: type[Event]) -> Iterator[tuple[Key, Extent]]:
    kind = kind_of(event_type)
    with TypedFile(part.path / file_name(kind), kind) as file:
        for group in range(file.groups):
            for batch in file.read(group, ["seq", "ts", "feed", "instrument"]):
                feeds, instruments = batch.column("feed"), batch.column("instrument")
                names = cast("list[str]", feeds.dictionary.to_pylist())
                symbols = cast("list[str]", instruments.dictionary.to_pylist())
                code = columns.indices_of(feeds).astype(np.int64) * len(symbols) + columns.indices_of(
                    instruments
                )
                seqs, times = columns.vector(batch.column("seq")), columns.vector(batch.column("ts"))
                for value in np.unique(code):
                    here = code == value
                    key = (event_type, names[value // len(symbols)], symbols[value % len(symbols)])
                    yield key, _extent(seqs[here], times[here])


def of_chunk(chunk: MarketChunk) -> Iterator[tuple[Key, Extent]]:
    """Yield what a chunk of decoded events holds."""
    positions: dict[Key, list[int]] = {}
    for index, event in enumerate(chunk.events):
        market = cast("Trade", event)
        positions.setdefault((type(event), market.feed, market.instrument), []).append(index)
    for key, where in positions.items():
        yield key, _extent(chunk.seqs[where], chunk.ts[where])


def _extent(seqs: np.ndarray, times: np.ndarray) -> Extent:
    return Extent(len(seqs), int(seqs[0]), int(seqs[-1]), int(times.min()), int(times.max()))
