"""A field added to an event type later: older files lack its column and read as its default everywhere."""

import json
import shutil
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from core.errors import CorruptLog
from core.events import BY_TYPE, Filled, Quote, Recorded, Trade
from core.ports import Selection
from eventstore.integrity.verify import verify
from eventstore.layout import Layout
from eventstore.manifests.manifest import digest_of, encode_manifest, read_manifest
from eventstore.reading.reader import LogReader
from eventstore.runs.checks import verify_run
from eventstore.runs.writer import RunWriter
from eventstore.sql.connection import connect
from eventstore.sql.plain import views_sql, write_views_sql
from eventstore.tables.parquet import TypedFile
from eventstore.tables.schema import columns_of, kind_of, kinds
from tests.eventstore.sealed_logs import open_log

YOUNGER = {"trade": ["conditions", "suspicious"], "quote": ["venue"]}


def _events(n: int, *, plain: bool) -> list[Trade | Quote]:
    """Trades and quotes whose younger fields hold their defaults (`plain`) or something else."""
    extra = () if plain else ("A", True)
    return [
        Trade(n, "f", "IBM", 1.0 + n, 2.0, "P", *extra),
        Quote(n, "f", "IBM", None, 3.0, 1.5, 0.0, "" if plain else "Q"),
    ]


@pytest.fixture
def root(tmp_path):
    """Two sealed directories: the first is older than some fields, the second is not; then a hot tail."""
    root = tmp_path / "log"
    journal = open_log(root)
    for plain in (True, False):
        for n in range(50):
            journal.extend(_events(n, plain=plain))
        journal.roll()
        journal.commit(sync=True)
    journal.close()
    journal = open_log(root, sealing=False)
    journal.extend(_events(7, plain=False))
    journal.close()
    _age(Layout(root).sealed_directories()[0])
    return root


def _drop(path: Path, names: list[str]) -> None:
    with pq.ParquetFile(path) as file:
        table = file.read()
    pq.write_table(table.drop_columns(names), path)


def _age(directory: Path) -> None:
    """Make a sealed directory what a program without the younger fields would have written."""
    manifest = read_manifest(directory)
    for tag, names in YOUNGER.items():
        path = directory / f"{tag}.parquet"
        _drop(path, names)
        manifest.files[path.name] = digest_of(path)
        manifest.fields[tag] = [name for name in manifest.fields[tag] if name not in names]
    (directory / "seal.json").write_bytes(encode_manifest(manifest))


def _expected() -> list[Trade | Quote]:
    rows = [event for plain in (True, False) for n in range(50) for event in _events(n, plain=plain)]
    return [*rows, *_events(7, plain=False)]


def _read(root: Path) -> list[object]:
    return [event for chunk in LogReader(root).market() for event in chunk.events]


def test_the_reader_gives_the_default_for_a_column_that_a_file_lacks(root):
    assert _read(root) == _expected()
    selection = Selection(types=frozenset({Trade}), instruments=frozenset({"IBM"}), begin_ts=5)
    entries = [entry.event for batch in LogReader(root).entries(selection) for entry in batch]
    assert entries == [e for e in _expected() if type(e) is Trade and e.ts >= 5]


def test_verify_compares_an_older_table_with_its_journal_all_the_same(root):
    assert verify(root, deep=True).findings == []


def test_views_show_the_default_beside_newer_rows(root):
    with connect(root) as log:
        trades = log.query("SELECT price, venue, conditions, suspicious FROM trades ORDER BY seq").rows
        venues = log.query("SELECT venue, count(*) FROM quotes GROUP BY venue ORDER BY venue").rows
        suspicious = log.query("SELECT count(*) FROM trades WHERE NOT suspicious").rows
        types = log.query("DESCRIBE SELECT conditions, suspicious FROM raw.trade").rows
    expected = [e for e in _expected() if type(e) is Trade]
    assert trades == [(e.price, e.venue, e.conditions, e.suspicious) for e in expected]
    assert venues == [("", 50), ("Q", 51)]
    assert suspicious == [(50,)]
    assert [row[1] for row in types] == ["VARCHAR", "BOOLEAN"]


def test_views_work_where_every_sealed_file_is_older(root):
    for directory in Layout(root).sealed_directories()[1:]:
        shutil.rmtree(directory)
    for path in Layout(root).segments():
        path.unlink()
    with connect(root) as log:
        assert log.query("SELECT DISTINCT conditions, suspicious FROM trades").rows == [("", False)]
        assert log.query("SELECT count(*) FROM events").rows == [(100,)]


def test_a_file_with_columns_that_only_a_newer_program_knows_is_read_without_them(root):
    directory = Layout(root).sealed_directories()[1]
    path, manifest = directory / "trade.parquet", read_manifest(directory)
    with pq.ParquetFile(path) as file:
        table = file.read()
    pq.write_table(table.append_column("from_the_future", table.column("price")), path)
    manifest.files[path.name] = digest_of(path)
    manifest.fields["trade"].append("from_the_future")
    (directory / "seal.json").write_bytes(encode_manifest(manifest))
    assert _read(root) == _expected()
    with connect(root) as log:
        assert log.query("SELECT count(*) FROM trades WHERE size = 2").rows == [(101,)]


def test_a_column_without_a_default_is_missed_by_name(root):
    path = Layout(root).sealed_directories()[0] / "trade.parquet"
    _drop(path, ["size"])
    with pytest.raises(CorruptLog, match=r"trade\.parquet: has no column size"):
        TypedFile(path, kind_of(Trade))


def test_an_older_run_is_whole_and_readable(root):
    writer = RunWriter(root, lambda seqs: seqs)
    for n in range(1, 20):
        writer.append(Filled(n, "o", "x", "a", "s", "IBM", "BUY", Decimal(1), Decimal(2)), at=n)
        writer.append(Recorded(n, "s", "n", 1.0), at=n)
    run = writer.publish("old", {}, {})
    before = [entry for batch in run.entries() for entry in batch]
    _drop(run.path / "filled.parquet", ["venue"])
    document = json.loads((run.path / "run.json").read_text())
    digest = digest_of(run.path / "filled.parquet")
    document["files"]["filled.parquet"] = msgspec.to_builtins(digest)
    document["fields"]["filled"].remove("venue")
    del document["digest"]  # an older program states none
    (run.path / "run.json").write_text(json.dumps(document))
    assert verify_run(run.path) == []
    assert [entry for batch in type(run)(run.path).entries() for entry in batch] == before
    with connect(root) as log:
        rows = log.query("SELECT DISTINCT venue FROM fills WHERE run = 'old'").rows
    assert rows == [("",)]


def test_plain_duckdb_shows_null_where_a_column_is_younger(root):
    import duckdb  # noqa: PLC0415

    (Layout(root).schema).mkdir(exist_ok=True)
    (Layout(root).schema / "trade.parquet").write_bytes(b"out of date")
    write_views_sql(root)
    with duckdb.connect() as plain:
        plain.execute(views_sql(Layout(root)).replace("'s*/", f"'{root}/s*/"))
        found = plain.execute("SELECT suspicious, count(*) FROM trades GROUP BY ALL ORDER BY 2, 1").fetchall()
    assert sorted(found, key=str) == [(None, 50), (True, 50)]


def test_a_field_that_may_be_null_is_null_by_default():
    """Else a file from before the field and a value that is not known could not be told apart."""
    for kind in [*kinds(), *BY_TYPE.values()]:
        for column in columns_of(kind.type):
            if column.nullable:
                assert column.default in (None, msgspec.NODEFAULT), (kind.tag, column.field)
