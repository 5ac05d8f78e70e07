"""Two at work in `tmp/`: the sealing process of a killed writer, and the writer that comes after it."""

import shutil
import threading

import pytest

from core.errors import CorruptLog, StoreError
from eventstore import build_area
from eventstore.build_area import building_in, wipe
from eventstore.files import Files
from eventstore.journal import journal
from eventstore.journal.journal import Journal
from eventstore.layout import MANIFEST_NAME, Layout
from eventstore.sealing.sealing import seal
from tests.eventstore.sealed_logs import read_all, write_unsealed

PATIENCE_S = 60


class HeldBack(Files):
    """Waits before the rename that publishes, as a process that the system gives no time to."""

    def __init__(self):
        super().__init__()
        self.built, self.go_on = threading.Event(), threading.Event()

    def rename(self, source, target):
        self.built.set()
        assert self.go_on.wait(PATIENCE_S)
        super().rename(source, target)


class Orphan:
    """Seals the first segment of a log as the worker of a writer that is no more."""

    def __init__(self, root):
        self.files, self.failure = HeldBack(), None
        self._thread = threading.Thread(target=self._seal, args=(root, Layout(root).segments()[0]))
        self._thread.start()
        assert self.files.built.wait(PATIENCE_S)

    def _seal(self, root, segment):
        try:
            seal(root, segment, self.files)
        except (OSError, StoreError) as error:
            self.failure = error

    def finish(self):
        self.files.go_on.set()
        self._thread.join(PATIENCE_S)


@pytest.fixture
def closed(tmp_path):
    return write_unsealed(tmp_path / "log", 200, 10)


@pytest.fixture
def orphan(closed):
    found = Orphan(closed)
    yield found
    found.finish()


def test_a_log_opens_while_an_orphan_still_seals_and_finds_its_directory_whole(closed, orphan):
    before = read_all(closed)
    Journal.open(closed).close()
    orphan.finish()
    assert orphan.failure is None
    with_seal = Journal.open(closed)
    with_seal.close()
    assert [path.name for path in Layout(closed).sealed_directories()] == ["00000000000001-00000000000200"]
    assert read_all(closed)[: len(before)] == before


def test_emptying_the_area_below_a_builder_is_caught(closed, orphan, monkeypatch):
    """What the lock prevents: half of what was built is removed, and the other half is published."""

    def in_the_middle(path, **_):
        (path / MANIFEST_NAME).unlink()
        orphan.finish()

    def careless(layout, files):
        monkeypatch.setattr(files.platform, "try_lock", lambda _fd: True)
        monkeypatch.setattr(shutil, "rmtree", in_the_middle)
        return build_area.wipe(layout, files)

    monkeypatch.setattr(journal, "wipe", careless)
    with pytest.raises(CorruptLog, match=r"seal.json: missing"):
        Journal.open(closed, files=Files())


def test_two_sealers_of_one_segment_come_to_the_same(closed, orphan):
    found = []
    second = threading.Thread(target=lambda: found.append(seal(closed, Layout(closed).segments()[0])))
    second.start()
    orphan.finish()
    second.join(PATIENCE_S)
    assert [(one.first_seq, one.last_seq) for one in found] == [(1, 200)]
    assert orphan.failure is None


def test_who_waits_too_long_says_for_what(closed):
    layout, files = Layout(closed), Files()
    with building_in(layout, files):
        assert not wipe(layout, files)
        with (
            pytest.raises(StoreError, match="another process has been building there for 0"),
            building_in(layout, files, wait_s=0),
        ):
            pass
    assert wipe(layout, files)


def test_only_the_lock_itself_is_left(closed):
    layout = Layout(closed)
    (layout.tmp / "half").mkdir()
    (layout.tmp / "half" / "file").write_text("x")
    (layout.tmp / "name").write_text("x")
    assert wipe(layout, Files())
    assert list(layout.tmp.iterdir()) == [layout.build_lock]
