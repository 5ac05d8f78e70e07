"""Each row once: importing again, importing more, and going on after an import that was cut short."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from adapters.replay import importing
from adapters.replay.history import Interrupted
from adapters.replay.lean import lean_sets, parse_days
from core.errors import UsageError
from core.events import ImportFinished, ImportResumed, ImportStarted, Quote, RowRejected, SegmentSealed, Trade
from eventstore.journal.journal import Journal
from eventstore.memory import MemoryLog
from eventstore.reading.reader import LogReader
from tests.importers.lean_files import entries, events, import_lean, ticks, without_frames, write_day

DAYS = parse_days("2013-10-07")
ROWS = 3000


class Cut(Exception):
    """The writer is gone."""


class CuttingLog:
    """A log whose process ends in the commit after `commits` good ones; what was not committed is lost."""

    def __init__(self, log: MemoryLog, commits: int) -> None:
        self._log = log
        self._left = commits
        self.append = log.append
        self.extend = log.extend

    def commit(self, *, sync: bool) -> None:
        if not self._left:
            self._log._buffer.clear()
            raise Cut
        self._left -= 1
        self._log.commit(sync=sync)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_day(tmp_path, *ticks(ROWS))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "CHUNK_ITEMS", 700)


def run(log, root, writer=None):
    return import_lean(writer or log, log.reader(), root, "ABC", "tick", DAYS)


def whole(root):
    log = MemoryLog()
    run(log, root)
    return events(log.reader())


def test_importing_the_same_files_again_changes_nothing(root):
    log = MemoryLog()
    first = run(log, root)
    held = entries(log.reader())
    again = run(log, root)
    assert entries(log.reader()) == held
    assert (first.accepted, first.rejected, first.read) == (5 * ROWS - 2, 2, 5 * ROWS)
    assert (again.read, again.duplicates, again.accepted, again.rejected) == (5 * ROWS, 5 * ROWS, 0, 0)
    assert (again.first_seq, again.last_seq) == (0, 0)


def test_a_copy_of_a_file_elsewhere_is_the_same_file(root, tmp_path):
    log = MemoryLog()
    run(log, root)
    held = log.last_seq
    copy = write_day(tmp_path / "copy", *ticks(ROWS))
    assert run(log, copy).duplicates == 5 * ROWS
    assert log.last_seq == held


def test_identical_rows_of_one_file_are_all_real(tmp_path):
    log = MemoryLog()
    result = run(log, write_day(tmp_path, "\n".join(["34200000,100,1,N,0,0"] * 3)))
    assert (result.accepted, result.duplicates) == (3, 0)


def test_quotes_that_come_later_are_added_to_trades_imported_before(tmp_path):
    trades, quotes = ticks(40)
    log = MemoryLog()
    run(log, write_day(tmp_path, trades))
    result = run(log, write_day(tmp_path, quotes=quotes))
    assert (result.duplicates, result.accepted, result.rejected) == (40, 159, 1)
    found = events(log.reader())
    assert sum(type(e) is Trade for e in found) == 39
    assert sum(type(e) is Quote for e in found) == 159


@pytest.mark.parametrize("commits", [0, 1, 2, 9, 21])
def test_an_interrupted_import_goes_on_and_gives_the_same_events(root, commits):
    expected = whole(root)
    log = MemoryLog()
    with pytest.raises(Cut):
        run(log, root, CuttingLog(log, commits))
    result = run(log, root)
    found = events(log.reader())
    assert without_frames(found) == expected
    resumed = [event.done for event in found if type(event) is ImportResumed]
    assert resumed == ([] if commits == 0 else [result.resumed])
    assert result.read == 5 * ROWS == result.accepted + result.duplicates + result.rejected
    assert run(log, root).duplicates == 5 * ROWS


def test_an_import_may_be_interrupted_again_and_again(root):
    expected = whole(root)
    log = MemoryLog()
    for _ in range(40):
        try:
            run(log, root, CuttingLog(log, 3))
        except Cut:
            continue
        break
    assert without_frames(events(log.reader())) == expected


def test_events_of_the_log_itself_between_the_rows_are_not_taken_for_rows(root):
    expected = whole(root)
    log = MemoryLog()
    with pytest.raises(Cut):
        run(log, root, CuttingLog(log, 3))
    log.append(SegmentSealed(0, 1, 2, "00"))
    log.commit(sync=True)
    run(log, root)
    assert without_frames(events(log.reader())) == expected


def test_an_import_of_other_files_in_between_does_not_confuse_the_count(root, tmp_path):
    log = MemoryLog()
    with pytest.raises(Cut):
        run(log, root, CuttingLog(log, 3))
    other = write_day(tmp_path / "other", *ticks(50), symbol="xyz")
    import_lean(log, log.reader(), other, "XYZ", "tick", DAYS)
    run(log, root)
    mine = [e for e in events(log.reader()) if type(e) in (Trade, Quote) and e.instrument == "ABC"]
    assert mine == [e for e in whole(root) if type(e) in (Trade, Quote)]


def test_an_importer_that_starts_over_is_caught_by_these_tests(root, monkeypatch):
    """The negative control: forget what is in the log, and the events differ."""
    monkeypatch.setattr(Interrupted, "count", lambda self, reader: (0, None))
    log = MemoryLog()
    with pytest.raises(Cut):
        run(log, root, CuttingLog(log, 9))
    run(log, root)
    assert without_frames(events(log.reader())) != whole(root)


def test_a_file_that_changed_since_the_interruption_is_refused(root):
    log = MemoryLog()
    with pytest.raises(Cut):
        run(log, root, CuttingLog(log, 3))
    write_day(root, quotes=ticks(50)[1])
    with pytest.raises(UsageError, match="its content has changed or is not among the files given"):
        run(log, root)


def test_an_importer_that_reads_rows_otherwise_does_not_go_on(root, monkeypatch):
    log = MemoryLog()
    with pytest.raises(Cut):
        run(log, root, CuttingLog(log, 3))
    monkeypatch.setattr("adapters.replay.lean_rows.SCALE", 1000.0)
    with pytest.raises(UsageError, match="made by another version of the importer"):
        run(log, root)


def test_one_file_under_two_meanings_needs_two_feeds(root):
    log = MemoryLog()
    run(log, root)
    (part,) = lean_sets(root, "ABC", "tick", DAYS)
    other = msgspec.structs.replace(part, format="something else")
    with pytest.raises(UsageError, match="already holds this file, read as"):
        importing.import_sets(log, log.reader(), [other])
    result = importing.import_sets(log, log.reader(), [msgspec.structs.replace(other, feed="other")])
    assert result.accepted == 5 * ROWS - 2


def test_definitions_are_not_repeated(tmp_path):
    root = write_day(tmp_path, "34200000,100,1,N,0,0")
    write_day(tmp_path, "34200000,100,2,N,0,0", day="20131008")
    log = MemoryLog()
    import_lean(log, log.reader(), root, "ABC", "tick", None)
    names = [type(event).__name__ for event in events(log.reader())]
    assert names == [
        *("ImportStarted", "FeedDefined", "InstrumentDefined", "SessionScheduled", "Trade", "ImportFinished"),
        *("ImportStarted", "SessionScheduled", "Trade", "ImportFinished"),
    ]


def test_the_frame_of_an_import_tells_files_counts_and_times(root):
    found = whole(root)
    started, finished = found[0], found[-1]
    assert isinstance(started, ImportStarted)
    assert isinstance(finished, ImportFinished)
    files = msgspec.json.decode(started.files)
    assert [(file["name"], file["first"], file["rows"]) for file in files] == [
        ("equity/usa/tick/abc/20131007_trade.zip", 1, ROWS),
        ("equity/usa/tick/abc/20131007_quote.zip", 1, 4 * ROWS),
    ]
    market = [event.ts for event in found if type(event) in (Trade, Quote)]
    assert (finished.first_ts, finished.last_ts) == (market[0], market[-1])
    assert (finished.read, finished.accepted, finished.rejected) == (5 * ROWS, 5 * ROWS - 2, 2)
    assert finished.digest == started.digest


def test_progress_counts_every_row(root):
    log = MemoryLog()
    seen: list[tuple[int, int | None]] = []
    import_lean(log, log.reader(), root, "ABC", "tick", DAYS, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5 * ROWS, 5 * ROWS)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


# The real thing: a process that imports into a log on disk and is killed between two commits.
_CHILD = """
import sys
from pathlib import Path
from adapters.replay import importing
from adapters.replay.importing import import_sets
from adapters.replay.lean import lean_sets, parse_days
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from time import time_ns

importing.CHUNK_ITEMS = 700
log, root, stop = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
journal = Journal.open(log, clock=time_ns)
def progress(done, total):
    print(done, flush=True)
    if done >= stop:
        sys.stdin.read()
import adapters.replay.merging as merging
merging.CHUNK_ROWS = 700
sets = lean_sets(root, "ABC", "tick", parse_days("2013-10-07"))
import_sets(journal, LogReader(log), sets, progress)
journal.close()
"""


def test_an_import_killed_in_the_middle_goes_on_in_a_new_process(root, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", _CHILD, str(log), str(root), "5000"]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    done = 0
    for line in child.stdout:
        done = int(line)
        if done >= 5000:
            break
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdin.close()
    child.stdout.close()
    assert 5000 <= done < 5 * ROWS
    journal = Journal.open(log, clock=lambda: 0)
    result = import_lean(journal, LogReader(log), root, "ABC", "tick", DAYS)
    journal.close()
    assert result.resumed == done
    assert result.duplicates + result.accepted + result.rejected == 5 * ROWS
    found = events(LogReader(log))
    assert without_frames(found) == whole(root)
    assert [event.done for event in found if type(event) is ImportResumed] == [done]
    assert sum(type(event) is RowRejected for event in found) == 2
