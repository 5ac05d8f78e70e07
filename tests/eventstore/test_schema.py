"""Events become columns and come back: every type, every value, by every encoding."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CorruptLog, InvalidEvent
from core.events import Bar, Entry, Event, Quote, StrategyFailed, Trade, Unknown
from core.money import money
from eventstore.tables import columns, schema
from eventstore.tables.parquet import ROW_GROUP_ROWS, TypedFile, TypedWriter, file_name
from eventstore.tables.schema import kind_of, kinds
from tests.eventstore.sealed_logs import sample_of, tick, write_typed

PROJECT = Path(__file__).parents[2]
CUTS = (slice(0, 2), slice(2, 99), slice(4, 1), slice(-3, None), slice(None, None, -2))


def _written(path: Path, entries: list[Entry]) -> list[Entry]:
    kind = kind_of(type(entries[0].event))
    write_typed(path, kind, [schema.entries_to_batch(kind, entries)])
    with TypedFile(path, kind) as file:
        return [
            entry
            for group in range(file.groups)
            for batch in file.read(group)
            for entry in schema.to_entries(kind, batch)
        ]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.tag)
def test_every_type_comes_back_from_parquet_as_it_was(kind, tmp_path):
    if kind.type is Unknown:
        events: list[Event] = [Unknown(5, "later", 2, b"\x00\xff"), Unknown(6, "later", 2, b"")]
    else:
        events = [sample_of(kind.type, n) for n in range(7)]
    inputs = schema.is_market_data(kind)
    entries = [
        Entry(n, 99 if n % 2 else None, n if inputs else n - 1, None if inputs or n % 2 else n - 2, event)
        for n, event in enumerate(events, 10)
    ]
    found = _written(tmp_path / file_name(kind), entries)
    assert found == entries
    assert [repr(entry) for entry in found] == [repr(entry) for entry in entries]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.tag)
def test_events_of_a_batch_are_a_sequence_wherever_it_is_cut(kind):
    if kind.type is Unknown:
        wanted: list[Event] = [Unknown(n, "later", 2, bytes([n])) for n in range(7)]
    else:
        wanted = [sample_of(kind.type, n) for n in range(7)]
    seqs = list(range(1, 8))
    batch = schema.to_batch(kind, seqs, seqs, seqs, [None] * 7, wanted)
    found = schema.to_events(kind, batch.slice(1))
    wanted = wanted[1:]
    assert (len(found), list(found)) == (6, wanted)
    assert (found[-1], found[2]) == (wanted[-1], wanted[2])
    assert [found[cut] for cut in CUTS] == [wanted[cut] for cut in CUTS]
    with pytest.raises(IndexError):
        _ = found[6]
    events, left = found.build(2, 6)
    assert [(event, left(), found.place_of(event, 6)) for event in events] == [
        (wanted[place], 5 - place, place) for place in range(2, 6)
    ]


def test_no_column_hides_an_envelope_column():
    for kind in kinds():
        names = schema.arrow_schema(kind).names
        assert len(names) == len(set(names))
    assert "input_seq" in schema.arrow_schema(kind_of(StrategyFailed)).names


def test_market_data_that_is_no_input_is_refused():
    with pytest.raises(InvalidEvent, match="must be inputs"):
        schema.to_batch(kind_of(Trade), [7], [1], [6], [None], [tick(0)])


amounts = st.decimals(
    min_value=Decimal("-1e29"), max_value=Decimal("1e29"), allow_nan=False, allow_infinity=False, places=8
).map(money)


@given(st.lists(st.none() | amounts, max_size=30), st.integers(0, 5))
def test_amounts_survive_exactly_and_in_canonical_form(values, cut):
    array = columns.encode(values, columns.DECIMAL)
    assert array.equals(pa.array(values, columns.DECIMAL))
    assert columns.decimals(array) == values
    assert [str(v) for v in columns.decimals(array[cut:])] == [str(v) for v in values[cut:]]


@given(st.lists(st.none() | st.text(max_size=5), max_size=30), st.integers(0, 5))
def test_texts_and_nulls_survive_slicing_and_dictionaries(values, cut):
    array = columns.encode(values, pa.string())
    assert columns.strings(array[cut:]) == values[cut:]
    assert columns.strings(array.dictionary_encode()[cut:]) == values[cut:]
    coded = columns.encode(values, columns.DICTIONARY)
    assert columns.strings(coded[cut:]) == values[cut:]
    assert columns.spelled_out(coded[cut:]).equals(pa.array(values[cut:], pa.string()))
    assert columns.distinct_texts(array[cut:]) == columns.distinct_texts(coded[cut:]) == len({*values[cut:]})


@given(
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=40),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=40),
    st.lists(st.none() | st.booleans(), max_size=40),
    st.integers(0, 9),
)
def test_numbers_survive_bit_for_bit(floats, integers, booleans, cut):
    found = columns.numbers(columns.encode(floats, pa.float64())[cut:])
    assert [None if v is None else v.hex() for v in found] == [
        None if v is None else v.hex() for v in floats[cut:]
    ]
    assert columns.numbers(columns.encode(integers, pa.int64())[cut:]) == integers[cut:]
    flags = columns.encode(booleans, pa.bool_())[cut:]
    assert list(columns.rows_of_booleans(flags)(0, len(flags))) == booleans[cut:]


def test_an_amount_with_nine_decimals_is_not_rounded_but_refused():
    with pytest.raises(ValueError, match="more than 8 decimals"):
        columns.encode([Decimal("0.000000001")], columns.DECIMAL)


def test_the_same_rows_give_the_same_bytes_however_they_are_batched(tmp_path):
    kind = kind_of(Quote)
    quotes = [event for n in range(3 * ROW_GROUP_ROWS // 4) if type(event := tick(n)) is Quote]
    quotes *= 2
    seqs = list(range(1, len(quotes) + 1))
    batch = schema.to_batch(kind, seqs, seqs, seqs, [None] * len(seqs), quotes)
    write_typed(tmp_path / "whole", kind, [batch])
    with TypedWriter(tmp_path / "pieces", kind) as writer:
        for start in range(0, len(batch), 1013):
            writer.write(batch.slice(start, 1013))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()
    with TypedFile(tmp_path / "whole", kind) as file:
        assert file.groups == -(-len(quotes) // ROW_GROUP_ROWS)
        assert file.bounds(1, "seq") == (ROW_GROUP_ROWS + 1, min(2 * ROW_GROUP_ROWS, len(quotes)))


def test_prices_that_never_repeat_are_not_put_in_a_dictionary(tmp_path):
    kind = kind_of(Bar)
    rng = np.random.default_rng(7)
    bars = [Bar(n, n, "f", "X", *map(float, rng.random(5))) for n in range(20_000)]
    seqs = list(range(1, len(bars) + 1))
    write_typed(tmp_path / "b", kind, [schema.to_batch(kind, seqs, seqs, seqs, [None] * len(seqs), bars)])
    import pyarrow.parquet as pq  # noqa: PLC0415

    group = pq.ParquetFile(tmp_path / "b").metadata.row_group(0)
    encodings = {group.column(i).path_in_schema: group.column(i).encodings for i in range(group.num_columns)}
    assert "BYTE_STREAM_SPLIT" in encodings["close"]
    assert "DELTA_BINARY_PACKED" in encodings["seq"]


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "trade.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(CorruptLog, match=r"trade\.parquet: this Parquet file cannot be read"):
        TypedFile(tmp_path / "trade.parquet", kind_of(Trade))


def test_reading_and_writing_tables_imports_nothing_heavy(tmp_path):
    code = f"""
import sys
from decimal import Decimal
from pathlib import Path
from core.events import Filled, Trade
from eventstore.tables import columns
from eventstore.tables.parquet import TypedFile, TypedWriter
from eventstore.tables.schema import kind_of, to_batch, to_entries
one, ids = Decimal(1), [f"F-{{n}}" for n in range(100)]
trades = [Trade(n, "f", "X", n / 4, 1.0) for n in range(100)]
fills = [Filled(n, i, i, "A", "s", "X", ("BUY", "SELL")[n % 2], one, one) for n, i in enumerate(ids)]
for events in trades, fills:
    kind, path = kind_of(type(events[0])), Path({str(tmp_path)!r}) / type(events[0]).__name__
    with TypedWriter(path, kind) as writer:
        writer.write(to_batch(kind, range(100), range(100), range(100), [None] * 100, events))
    with TypedFile(path, kind) as file:
        assert [e.event for b in file.read(0) for e in to_entries(kind, b)] == events
columns.spelled_out(columns.encode(["a", None, "b"], columns.DICTIONARY))
heavy = {{"pandas", "duckdb", "pyarrow.compute"}} & set(sys.modules)
assert not heavy, f"{{heavy}} on the replay path"
"""
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.type is not Unknown], ids=lambda k: k.tag)
@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_the_rows_kept_are_those_that_arrow_keeps(kind, step):
    entries = [Entry(n, None, n, None, sample_of(kind.type, n)) for n in range(1, 40)]
    whole = schema.entries_to_batch(kind, entries)
    coded = [c.dictionary_encode() if c.type == pa.string() else c for c in whole.columns]
    batch = pa.RecordBatch.from_arrays(coded, names=whole.schema.names).slice(3)
    keep = np.arange(len(batch)) % step == 1 % step
    assert (
        columns.take_rows(batch, np.flatnonzero(keep)).to_pylist() == batch.filter(pa.array(keep)).to_pylist()
    )


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        (pa.string(), ["a", "b"], ["a", "c"]),
        (pa.int64(), [1, 2], [1, None]),
        (pa.int64(), [None, None], [0, 0]),
        (pa.float64(), [0.0, 1.0], [-0.0, 1.0]),  # equal, and not the same
        (columns.DECIMAL, [Decimal(1), None], [Decimal(1), Decimal(2)]),
    ],
)
def test_a_shared_encoder_makes_of_every_column_what_it_holds(kind, first, second):
    encoder = columns.Encoder()
    for values in (first, list(first), second, first):
        made, alone = encoder.encode("x", values, kind), columns.encode(values, kind)
        assert [str(v) for v in made.to_pylist()] == [str(v) for v in alone.to_pylist()]


def test_a_shared_encoder_makes_an_equal_column_once_and_for_its_type_alone():
    encoder = columns.Encoder()
    ones = encoder.encode("x", [1, 1], pa.int64())
    assert encoder.encode("x", [1, 1], pa.int64()) is ones
    assert encoder.encode("y", [1, 1], pa.int64()) is not ones
    assert encoder.encode("x", [True, True], pa.bool_()).to_pylist() == [True, True]


def test_the_files_of_a_run_state_the_bounds_of_numbers_alone(tmp_path):
    kind = kind_of(Trade)
    trades = [event for n in range(40) if type(event := tick(n)) is Trade][:8]
    entries = [Entry(n, None, n, None, trade) for n, trade in enumerate(trades, 1)]
    for recv, bounds_of_venues in ((True, True), (False, False)):
        path = tmp_path / f"{recv}.parquet"
        write_typed(path, kind, [schema.entries_to_batch(kind, entries, recv=recv)], recv=recv)
        with TypedFile(path, kind) as file:
            assert file.bounds(0, "seq") == (1, 8)
            assert (file.bounds(0, "venue") is not None) is bounds_of_venues
