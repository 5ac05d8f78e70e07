"""Watched files: settled before they are read, read elsewhere, recorded once, and never needed again."""

import os
import time

import pytest

import cli
from adapters.replay.signals.recommendations import SignalOptions
from app.live import watched_files
from app.live.proving import prove
from app.live.watched_files import FilesToWatch, SignalFiles, WatchedFile
from app.replay.recorded import recorded_sessions
from app.signals.child import Answer
from core.clock import local
from core.events import CompositeSignal, RowRejected, SignalFileRead, SignalReceived
from core.ports import entries_of
from eventstore.reading.reader import LogReader
from tests.signals.workbooks import HEAD, bomb, cut_short, encrypted, workbook

pytestmark = [pytest.mark.signal, pytest.mark.slow]

NOW = local("2025-07-02", "10:00", "America/New_York")
PATIENCE_S = 60
ROW = ("ZVXA", 1, "2025-07-01")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Desk:
    """Watched files with their clock."""

    def __init__(self, root, path, **options):
        self.clock = Clock()
        watched = WatchedFile(str(path), SignalOptions(live=True, **options))
        self.files = SignalFiles(root, FilesToWatch((watched,), 1.0, 3.0), LogReader(root), self.clock)
        self.slowest = 0.0

    def look(self, seconds=1.0, now=NOW):
        self.clock.now += seconds
        begun = time.monotonic()
        found = list(self.files(now))
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return found

    def learn(self, now=NOW):
        """Let the clock stand until the child has answered; return the events."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = self.look(0.0, now)
            if found or self.files._reading is None:
                return found
            time.sleep(0.02)
        raise AssertionError("no answer")

    def settle(self):
        """Let the file be seen and then be still for long enough."""
        found = [self.look() for _ in range(5)]
        assert [events for events in found if events] == []
        return self.learn()


@pytest.fixture
def desk(log, tmp_path):
    made = []

    def make(path=tmp_path / "bma.xlsx", **options):
        made.append(Desk(log, path, **options))
        return made[-1]

    yield make
    for one in made:
        one.files.close()


def test_a_file_becomes_events_of_the_moment_at_which_it_is_learnt(desk, tmp_path):
    workbook(tmp_path / "bma.xlsx", HEAD, ROW, ("NONE", 1, "2025-07-01"))
    told, bad, signal = desk().settle()
    assert isinstance(told, SignalFileRead)
    assert (told.accepted, told.rejected, told.problem, told.file) == (1, 1, "", "bma.xlsx")
    assert isinstance(bad, RowRejected)
    assert "unknown symbol 'NONE'" in bad.reason
    assert isinstance(signal, SignalReceived)
    assert (signal.ts, signal.as_of) == (NOW, local("2025-07-01", "16:00", "America/New_York"))


def test_a_file_is_left_alone_while_it_changes(desk, tmp_path):
    path = tmp_path / "bma.xlsx"
    watching = desk()
    for n in range(6):
        workbook(path, HEAD, *[ROW] * (n + 1))
        os.utime(path, ns=(n * 10**9, n * 10**9))
        assert watching.look() == []
        assert watching.files._reading is None
    assert watching.settle()[0].accepted == 1


def test_a_half_written_file_is_a_problem_and_read_when_it_is_whole(desk, tmp_path):
    path = cut_short(tmp_path / "bma.xlsx")
    watching = desk()
    (told,) = watching.settle()
    assert "is no zip" in told.problem
    workbook(path, HEAD, ROW)
    assert [event.accepted for event in watching.settle() if isinstance(event, SignalFileRead)] == [1]


def test_the_same_content_is_read_once_however_often_it_is_written(desk, log, tmp_path):
    path = workbook(tmp_path / "bma.xlsx", HEAD, ROW)
    watching = desk()
    assert len(watching.settle()) == 2
    os.utime(path)
    assert watching.settle() == []


@pytest.mark.parametrize("make", [bomb, encrypted])
def test_a_hostile_file_neither_blocks_nor_ends_the_session(make, desk, tmp_path):
    make(tmp_path / "bma.xlsx")
    watching = desk()
    (told,) = watching.settle()
    assert told.problem.startswith("bma.xlsx: ")
    assert watching.slowest < PATIENCE_S / 6


def test_a_reader_that_is_killed_is_a_problem_that_names_it(desk, tmp_path):
    workbook(tmp_path / "bma.xlsx", HEAD, ROW)
    watching = desk()
    while watching.files._reading is None:
        watching.look()
    watching.files._reading._errand._process.kill()
    (told,) = watching.learn()
    assert "ended with code -9" in told.problem


def test_a_reader_that_does_not_end_is_ended(desk, tmp_path):
    workbook(tmp_path / "bma.xlsx", HEAD, ROW)
    watching = desk()
    while watching.files._reading is None:
        watching.look()
    process = watching.files._reading._errand._process
    os.kill(process.pid, 19)  # SIGSTOP
    (told,) = watching.look(31.0)
    assert "longer than 30 s" in told.problem
    assert process.poll() is not None


def told_by(watching):
    """Look for a while; return what was told."""
    return [event for _ in range(6) for event in (*watching.look(), *watching.learn())]


def test_a_file_that_is_not_there_is_told_once_and_waited_for(desk, tmp_path):
    watching = desk(tmp_path / "later.xlsx")
    (told,) = told_by(watching)
    assert told.problem.startswith("later.xlsx: No such file or directory; expected a file at ")
    assert told_by(watching) == []
    workbook(tmp_path / "later.xlsx", HEAD, ROW)
    assert told_by(watching)[0].accepted == 1
    assert watching.files.troubles.words() == []


def test_a_file_that_vanishes_is_in_trouble_until_it_is_back(desk, tmp_path):
    path = workbook(tmp_path / "bma.xlsx", HEAD, ROW)
    content = path.read_bytes()
    watching = desk()
    told_by(watching)
    path.unlink()
    assert watching.look() == []
    path.write_bytes(content)  # written anew, as many programs do: it was away for a moment
    assert told_by(watching) == []
    path.unlink()
    (gone,) = told_by(watching)
    assert "No such file" in gone.problem
    assert len(watching.files.troubles) == 1
    path.write_bytes(content)
    (back,) = told_by(watching)
    assert (back.accepted, back.rejected, back.problem) == (0, 0, "")
    assert len(watching.files.troubles) == 0


def test_a_file_without_a_good_row_is_in_trouble_until_it_has_one(desk, tmp_path):
    path = workbook(tmp_path / "bma.xlsx", HEAD, ("NONE", 1, "2025-07-01"))
    watching = desk()
    assert [type(event) for event in told_by(watching)] == [SignalFileRead, RowRejected]
    assert "all 1 rows were rejected" in watching.files.troubles.words()[0]
    bad = path.read_bytes()
    os.utime(path, ns=(1, 1))
    assert told_by(watching) == []  # the same trouble, and its rows are in the log
    path.unlink()
    assert "No such file" in told_by(watching)[0].problem
    path.write_bytes(bad)
    (again,) = told_by(watching)
    assert (again.accepted, again.rejected) == (0, 1)
    workbook(path, HEAD, ROW, ("NONE", 1, "2025-07-01"))
    assert told_by(watching)[0].accepted == 1
    assert len(watching.files.troubles) == 0


def test_what_cannot_be_read_is_tried_again_after_a_while(desk, tmp_path, monkeypatch):
    path = workbook(tmp_path / "bma.xlsx", HEAD, ROW)
    watching = desk()
    monkeypatch.setattr(watched_files, "_Reading", Unreadable)
    (told,) = told_by(watching)
    assert told.problem == "bma.xlsx: cannot be read: Permission denied"
    monkeypatch.undo()
    assert told_by(watching) == []
    watching.look(60.0)
    assert watching.learn()[0].accepted == 1
    assert path.exists()


class Unreadable(watched_files._Reading):
    """Another program holds the file."""

    def answer(self, now_s):
        self.end()
        return Answer(problem="bma.xlsx: cannot be read: Permission denied", again=True)


def test_a_session_records_the_file_and_its_proof_needs_it_no_more(log, tmp_path):
    path = workbook(tmp_path / "bma.xlsx", HEAD, ROW)
    config = tmp_path / "tape.toml"
    config.write_text(
        "[signals]\npoll_s = 0.1\nsettle_s = 0\n[[signals.file]]\n"
        f'path = "{path.as_posix()}"\nsource = "bma"\n[trading]\nsignal_threshold = 0.5\n',
        "utf-8",
    )
    arguments = ["-q", "-c", str(config), "--log", str(log), "live", "--demo", "2025-07-02", "--strategy"]
    arguments += ["composite", "--set", "instruments=ZVXA", "--until", "2025-07-02T13:45:00Z"]
    assert cli.main(arguments) == 0
    reader = LogReader(log)
    kinds = frozenset({SignalReceived, SignalFileRead, CompositeSignal})
    held = [type(entry.event) for entry in entries_of(reader, kinds)]
    read = held.index(SignalFileRead)  # a slow machine may compute a composite before it is read
    assert held[read + 1] is SignalReceived
    assert CompositeSignal in held[read + 2 :]
    path.unlink()
    (session,) = recorded_sessions(reader, "2025-07-02", "2025-07-02")
    proof = prove(log, session)
    assert proof.summary["decisions_hash"]
    # The control: without what the log holds of it, the session comes out otherwise.
    assert _without_signals(log, session) != proof.summary["decisions_hash"]


def _without_signals(log, session):
    from adapters.replay import recorded  # noqa: PLC0415
    from core.errors import TapeError  # noqa: PLC0415

    kept = recorded.INPUTS
    recorded.INPUTS = kept - {SignalReceived}
    try:
        return prove(log, session).summary["decisions_hash"]
    except TapeError:
        return "differs"
    finally:
        recorded.INPUTS = kept
