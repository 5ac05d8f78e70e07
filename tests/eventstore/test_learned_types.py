"""Events that an older program sealed as `Unknown` are read as their own type by one that knows it."""

import msgspec
import pytest

from core.errors import CorruptLog
from core.events import BY_TAG, Quote, Recorded, Trade, Unknown
from core.ports import Selection
from eventstore import checks, codec
from eventstore.integrity.verify import verify
from eventstore.layout import Layout
from eventstore.manifests.manifest import digest_of, encode_manifest, read_manifest
from eventstore.reading.reader import LogReader
from eventstore.sealed.tables import compare_tables
from eventstore.sealing.compacting import compact
from eventstore.sql.connection import connect
from eventstore.tables.parquet import TypedFile, file_name
from eventstore.tables.schema import UNKNOWN, entries_to_batch, to_entries
from tests.eventstore.sealed_logs import open_log, read_all, write_ticks, write_typed

LATER = Unknown(9, "later", 1, msgspec.msgpack.encode({"ts": 9}))


def _recorded(n: int) -> Recorded:
    return Recorded(n, "s", "x", n / 4)


def _trade(n: int) -> Trade:
    return Trade(n, "f", "IBM", 1.0 + n, 100.0, "P")


def _quote(n: int) -> Quote:
    return Quote(n, "f", "IBM", 1.0, 2.0, None, None)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A log written by a program that knew neither `recorded` nor `trade`; one type is unknown still."""
    root = tmp_path / "log"
    with monkeypatch.context() as older:
        known = {tag: kind for tag, kind in BY_TAG.items() if tag not in {"recorded", "trade"}}
        for module in (codec, checks):
            older.setattr(module, "BY_TAG", known)
        journal = open_log(root)
        for n in range(1, 40):
            for tag, event in (("recorded", _recorded(n)), ("trade", _trade(n))):
                journal.append(Unknown(n, tag, 1, msgspec.msgpack.encode(event)))
            journal.append(_quote(n))
        journal.append(LATER)
        journal.close()
        assert {type(entry.event) for entry in read_all(root)} >= {Unknown, Quote}
        assert not {type(entry.event) for entry in read_all(root)} & {Recorded, Trade}
    return root


def test_they_are_read_in_order_as_what_they_are(root):
    events = [entry.event for entry in read_all(root)][:-1]
    expected = [event for n in range(1, 40) for event in (_recorded(n), _trade(n), _quote(n))]
    assert events == [*expected, LATER]


def test_they_are_selected_by_their_own_type(root):
    def found(**selection):
        return [entry.event for entry in read_all(root, Selection(**selection))]

    assert found(types=frozenset({Recorded})) == [_recorded(n) for n in range(1, 40)]
    assert found(types=frozenset({Unknown})) == [LATER]
    assert found(types=frozenset({Trade}), begin_ts=30) == [_trade(n) for n in range(30, 40)]
    assert found(instruments=frozenset({"IBM"}), first_seq=4, last_seq=6) == [
        _trade(2),
        _quote(2),
    ]


def test_market_data_among_them_are_market_data(root):
    events = [event for chunk in LogReader(root).market() for event in chunk.events]
    assert [event for event in events if type(event) is Trade] == [_trade(n) for n in range(1, 40)]


def test_verify_compares_them_with_the_journal(root):
    assert verify(root, deep=True).findings == []
    directory = Layout(root).sealed_directories()[0]
    with TypedFile(directory / file_name(UNKNOWN), UNKNOWN) as table:
        entries = [entry for batch in table.read(0) for entry in to_entries(UNKNOWN, batch)]
    entries[2] = msgspec.structs.replace(entries[2], event=entries[4].event)
    write_typed(directory / file_name(UNKNOWN), UNKNOWN, [entries_to_batch(UNKNOWN, entries)])
    manifest = read_manifest(directory)
    manifest.files["unknown.parquet"] = digest_of(directory / "unknown.parquet")
    (directory / "seal.json").write_bytes(encode_manifest(manifest))
    [finding] = verify(root, deep=True).findings
    assert finding.path.endswith("unknown.parquet")
    assert f"seq {entries[2].seq} differs" in finding.message


def test_one_too_many_is_named(root):
    directory = Layout(root).sealed_directories()[0]
    with pytest.raises(CorruptLog, match=r"unknown\.parquet: holds seq 1, which the journal does not"):
        compare_tables(directory, iter([]))


def test_compaction_leaves_them_alone(root):
    for _ in range(4):
        journal = open_log(root)
        write_ticks(journal, 80)
        journal.close()
    expected, before = read_all(root), Layout(root).sealed_directories()
    assert compact(root) > 0
    assert Layout(root).sealed_directories()[0] == before[0]
    assert read_all(root) == expected


def test_sql_lists_them_under_their_tag(root):
    with connect(root) as log:
        rows = log.query("SELECT type, count(*) FROM events WHERE seq < 118 GROUP BY type ORDER BY type").rows
    assert rows == [("quote", 39), ("recorded", 39), ("trade", 39)]
