"""Reading sealed and hot together: order, selection, memory, damage."""

import itertools
import shutil
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.errors import CorruptLog, DataMissing
from core.events import BY_TAG, MARKET_DATA, Quote, Trade, Unknown
from core.ports import Selection
from eventstore.codec import decode_records
from eventstore.integrity.verify import verify
from eventstore.layout import Layout, sealed_range
from eventstore.manifests import catalogue
from eventstore.manifests.manifest import read_manifest
from eventstore.reading import reader, sealed
from eventstore.reading.reader import LogReader
from eventstore.sealing.compacting import compact
from eventstore.sealing.sealing import seal
from eventstore.sql.connection import connect
from tests.eventstore.sealed_logs import START_NS, open_log, read_all, write_everything, write_ticks

TICKS = 9000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three sealed directories, a hot closed segment and a hot active one."""
    root = tmp_path_factory.mktemp("reader") / "log"
    journal = open_log(root)
    write_everything(journal)
    for _ in range(3):
        write_ticks(journal, TICKS // 3)
        journal.roll()
        journal.commit(sync=True)
    journal.close()
    journal = open_log(root, sealing=False)
    write_ticks(journal, 1000)
    journal.roll()
    write_ticks(journal, 700)
    write_everything(journal)
    journal.close()
    layout = Layout(root)
    assert len(layout.sealed_directories()) >= 3
    assert len(layout.segments()) >= 2
    return root


@pytest.fixture(scope="module")
def everything(root):
    return read_all(root)


def test_every_seq_is_read_exactly_once_in_order(root, everything):
    assert [entry.seq for entry in everything] == list(range(1, LogReader(root).last_seq() + 1))


SELECTIONS = [
    Selection(),
    Selection(first_seq=250),
    Selection(first_seq=3000, last_seq=7001),
    Selection(last_seq=1),
    Selection(types=frozenset({Trade})),
    Selection(types=frozenset({BY_TAG["filled"].type, BY_TAG["commission"].type})),
    Selection(feeds=frozenset({"g/tick"})),
    Selection(instruments=frozenset({"SPY"}), types=frozenset({Quote})),
    Selection(instruments=frozenset({"absent"})),
    Selection(begin_ts=START_NS + 500_000_000),
    Selection(end_ts=START_NS + 300_000_000, first_seq=4000),
    Selection(begin_ts=START_NS + 10_000_000, end_ts=START_NS + 20_000_000, feeds=frozenset({"f/tick"})),
    Selection(begin_ts=START_NS * 2),
    Selection(types=frozenset({Unknown, BY_TAG["filled"].type})),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=range(len(SELECTIONS)))
def test_a_selection_reads_what_it_says_and_nothing_else(root, everything, selection):
    expected = [entry for entry in everything if selection.holds(entry)]
    assert read_all(root, selection) == expected
    ticks = [entry for entry in expected if type(entry.event) in MARKET_DATA]
    chunks = list(LogReader(root).market(selection))
    assert [event for chunk in chunks for event in chunk.events] == [entry.event for entry in ticks]
    if chunks:
        assert np.concatenate([chunk.seqs for chunk in chunks]).tolist() == [entry.seq for entry in ticks]
        assert np.concatenate([chunk.ts for chunk in chunks]).tolist() == [e.event.ts for e in ticks]


def test_chunks_are_bounded(root):
    assert all(0 < len(chunk.events) <= 65_536 for chunk in LogReader(root).market())


def test_files_that_cannot_hold_what_is_asked_for_are_not_opened(root):
    reader = LogReader(root)
    list(reader.entries(Selection(types=frozenset({Trade}), last_seq=200)))
    assert {path.name for path in reader._checked} == {"trade.parquet"}
    assert {path.parent for path in reader._checked} == {Layout(root).sealed_directories()[0]}
    nothing = LogReader(root)
    assert list(nothing.market(Selection(instruments=frozenset({"absent"})))) == []
    assert nothing._checked == set()


def test_hot_ticks_are_not_decoded_where_something_rare_is_asked_for(root, everything, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        reader, "decode_records", lambda payload: decoded.append(records := real(payload)) or records
    )
    real = decode_records
    list(LogReader(root).entries(Selection(types=frozenset({Trade, BY_TAG["filled"].type}))))
    with_ticks = sum(map(len, decoded))
    decoded.clear()
    rare = read_all(root, Selection(types=frozenset({BY_TAG["filled"].type})))
    assert rare == [entry for entry in everything if type(entry.event) is BY_TAG["filled"].type]
    assert 0 < sum(map(len, decoded)) < with_ticks / 2


@pytest.mark.parametrize("data", [b"{}", b"", b"\xff", None])
def test_a_damaged_manifest_says_what_to_do(root, tmp_path, data):
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    manifest = next((copy / "sealed").iterdir()) / "seal.json"
    manifest.unlink()
    if data is not None:
        manifest.write_bytes(data)
    with pytest.raises(CorruptLog, match=r"seal\.json: .*no event can be read without it; next: tape verify"):
        list(LogReader(copy).entries(Selection()))


def test_who_asks_for_some_seqs_has_no_other_manifest_read(root, everything, tmp_path):
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    first, asked, last = Layout(copy).sealed_directories()[:3]
    begin, end = sealed_range(asked)
    for other in (first, last):
        (other / "seal.json").write_bytes(b"{}")
    some = Selection(first_seq=begin, last_seq=end)
    assert read_all(copy, some) == [entry for entry in everything if begin <= entry.seq <= end]
    with pytest.raises(CorruptLog, match=r"seal\.json"):
        read_all(copy, Selection(first_seq=begin, last_seq=end + 1))


@pytest.fixture
def opened(monkeypatch):
    """The directories whose manifests were opened, in order."""
    names = []

    def counting(directory):
        names.append(directory.name)
        return read_manifest(directory)

    monkeypatch.setattr(catalogue, "read_manifest", counting)
    return names


def begin(root, **given):
    """Read up to the first batch."""
    return next(iter(LogReader(root).entries(Selection(**given))))[0].seq


def test_a_manifest_is_opened_when_its_directory_is_come_to(root, everything, opened):
    names = [path.name for path in Layout(root).sealed_directories()]
    (_, first_end), (last_begin, last_end) = (sealed_range(root / name) for name in (names[0], names[-1]))
    assert len(names) > 3
    assert (LogReader(root).last_seq(), opened) == (everything[-1].seq, [])
    assert everything[-1].seq > last_end
    for expected, reads in {
        "first events": lambda: begin(root),
        "the first one": lambda: begin(root, first_seq=1, last_seq=1),
    }.items():
        opened.clear()
        assert (expected, reads(), opened) == (expected, 1, names[:1])
    opened.clear()
    assert (begin(root, first_seq=first_end, last_seq=first_end), opened) == (first_end, names[:1])
    opened.clear()
    assert (begin(root, first_seq=last_begin), opened) == (last_begin, names[-1:])
    opened.clear()
    assert (begin(root, first_seq=last_end + 1), opened) == (last_end + 1, [])
    assert read_all(root) == everything
    assert opened == names


def test_times_are_in_no_name_so_that_all_manifests_are_opened_for_them(root, opened):
    list(LogReader(root).entries(Selection(begin_ts=1, end_ts=2)))
    assert opened == [path.name for path in Layout(root).sealed_directories()]


def test_a_reader_that_asks_for_all_manifests_first_is_caught(root, everything, opened, monkeypatch):
    def eager(self):
        sealed = [self.part(span) for span in self._listing()]
        return [catalogue.Span(part.first_seq, part.last_seq, part.path) for part in sealed]

    monkeypatch.setattr(catalogue.Catalogue, "spans", eager)
    with pytest.raises(AssertionError):
        test_a_manifest_is_opened_when_its_directory_is_come_to(root, everything, opened)


def test_a_flipped_byte_in_a_sealed_file_is_refused_by_name(root, tmp_path):
    copy = tmp_path / "log"
    shutil.copytree(root, copy)
    victim = Layout(copy).sealed_directories()[1] / "quote.parquet"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0x10
    victim.write_bytes(data)
    with pytest.raises(CorruptLog, match=r"quote\.parquet: the file changed since it was written"):
        list(LogReader(copy).market())
    assert len(list(LogReader(copy).market(Selection(types=frozenset({Trade}))))) > 0


def test_a_missing_directory_is_a_gap_not_silence(root, tmp_path):
    copy = tmp_path / "log"
    shutil.copytree(root, copy)
    shutil.rmtree(Layout(copy).sealed_directories()[1])
    with pytest.raises(CorruptLog, match=r"seqs \d+\.\.\d+ are in no file"):
        read_all(copy)


@pytest.fixture
def unsealed_between(tmp_path):
    """A log whose middle segment was never sealed, but the ones before and after it were."""
    root = tmp_path / "log"
    journal = open_log(root, sealing=False)
    write_everything(journal)
    for _ in range(3):
        write_ticks(journal, 500)
        journal.roll()
    write_ticks(journal, 100)
    journal.close()
    expected = read_all(root)
    segments = Layout(root).segments()
    for segment in (segments[0], segments[2]):
        seal(root, segment)
        segment.unlink()
    return root, expected


def test_a_segment_that_was_not_sealed_is_read_between_those_that_were(unsealed_between):
    """As after a sealing process that was killed: the next one seals what was closed later."""
    root, expected = unsealed_between
    reader = LogReader(root)
    assert read_all(root) == expected
    ticks = [entry for entry in expected if type(entry.event) in MARKET_DATA]
    assert sum(found.count for found in reader.coverage()) == len(ticks)
    with connect(root) as log:
        assert log.query("SELECT count(*) FROM events").rows == [(len(expected),)]
    open_log(root).close()  # seals it now
    assert read_all(root)[: len(expected)] == expected
    assert verify(root).findings == []


def test_a_reader_that_goes_by_the_last_sealed_seq_would_miss_it(unsealed_between, monkeypatch):
    """The negative control: what is before the last sealed seq counts as sealed."""

    def past_the_last(hot, sealed, _part):
        return [segment for segment in hot if segment.first_seq > sealed[-1].last_seq]

    monkeypatch.setattr("eventstore.reading.reader.only_hot", past_the_last)
    with pytest.raises(CorruptLog, match="are in no file"):
        read_all(unsealed_between[0])


def test_a_hot_tail_is_read_up_to_its_last_whole_block(tmp_path):
    root = tmp_path / "log"
    journal = open_log(root, sealing=False)
    ends = []
    segment = Layout(root).segments()[-1]
    for _ in range(4):
        write_ticks(journal, 50)
        ends.append((journal.last_seq, segment.stat().st_size))
    data = segment.read_bytes()
    journal.close()
    seqs = set()
    for cut in range(ends[0][1], len(data) + 1, 97):
        segment.write_bytes(data[:cut])
        expected = max(seq for seq, end in ends if end <= cut)
        assert LogReader(root).last_seq() == expected
        assert len(read_all(root)) == expected
        seqs.add(expected)
    assert len(seqs) >= 3


def test_following_yields_what_is_appended_while_it_waits(tmp_path):
    root = tmp_path / "log"
    journal = open_log(root)
    write_ticks(journal, 10)
    rounds = itertools.count()

    def wait() -> bool:
        if next(rounds) == 4:
            return False
        write_ticks(journal, 5)
        if next(rounds) % 2:
            journal.roll()
            journal.commit(sync=True)
        return True

    followed = [entry.seq for batch in LogReader(root).follow(3, wait) for entry in batch]
    assert followed == list(range(3, journal.last_seq + 1))
    assert len(followed) > 12
    journal.close()


def follow_through(root: Path) -> tuple[list[int], int]:
    """Follow a log while it rolls, is sealed and compacted, between batches and inside of them.

    Returns the seqs that were followed, and the last there is.
    """
    journal = open_log(root)
    followed: list[int] = []
    rounds = itertools.count()

    def happen() -> None:
        turn = next(rounds)
        write_ticks(journal, 7)
        if turn % 2:
            journal.roll()
        journal.commit(sync=True)  # seals what was closed, and unlinks it
        if turn % 5 == 4:
            compact(root)

    def wait() -> bool:
        happen()
        return len(followed) < 1_000

    for batch in LogReader(root).follow(1, wait):
        followed += [entry.seq for entry in batch]
        if len(followed) < 1_000:
            happen()
    last = journal.last_seq
    journal.close()
    return followed, last


def check_following(root: Path) -> None:
    followed, last = follow_through(root)
    assert followed == list(range(1, followed[-1] + 1))
    assert followed[-1] > last - 30


def test_following_misses_and_doubles_nothing_over_rolls_seals_and_compactions(tmp_path):
    check_following(tmp_path / "log")
    assert len(Layout(tmp_path / "log").sealed_directories()) < 20


def test_the_check_of_following_catches_a_reader_that_lists_sealed_first(tmp_path, monkeypatch):
    """The negative control of the test above: between the two listings all that is hot is sealed."""
    root = tmp_path / "log"
    before: list[list[reader.Span]] = [[]]

    def sealed_first(self: LogReader) -> reader.Snapshot:
        stale, before[0] = before[0], self._catalogue.spans()
        hot = reader.hot_segments(self._layout)
        return reader.Snapshot(stale, reader.only_hot(hot, stale, self._catalogue.part))

    monkeypatch.setattr(LogReader, "snapshot", sealed_first)
    with pytest.raises((CorruptLog, AssertionError)):
        check_following(root)


def test_where_there_is_no_log_a_reader_says_so(tmp_path):
    with pytest.raises(DataMissing, match="there is no log here"):
        LogReader(tmp_path / "nothing")


def test_a_reader_writes_nothing(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    read_all(root)
    list(LogReader(root).market())
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_two_readers_in_two_threads_do_not_disturb_each_other(root, everything):
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(read_all(root)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(everything)] * 2


def test_events_of_a_type_that_only_a_newer_program_knows_are_read_from_the_archive(
    root, everything, monkeypatch
):
    older = {tag: kind for tag, kind in BY_TAG.items() if tag not in {"recorded", "fx"}}
    monkeypatch.setattr(sealed, "BY_TAG", older)
    assert read_all(root) == everything


def test_an_unknown_event_survives_sealing_byte_for_byte(tmp_path):
    journal = open_log(tmp_path / "log")
    later = Unknown(START_NS, "later", 3, msgspec.msgpack.encode({"ts": START_NS, "x": [1, None]}))
    journal.append(later)
    write_ticks(journal, 20)
    journal.append(later)
    journal.close()
    assert Layout(tmp_path / "log").sealed_directories()
    assert [e.event for e in read_all(tmp_path / "log") if type(e.event) is Unknown] == [later, later]


def test_the_first_events_are_built_a_few_at_a_time_and_the_later_ones_many_at_a_time(root):
    sizes = [len(chunk.events) for chunk in LogReader(root).market()]
    assert max(sizes[:2]) <= sealed._CONVERT_ROWS_FIRST < max(sizes)
