"""Damaged tables are made again from the archive beside them; damaged archives are refused."""

import shutil
from pathlib import Path

import pytest

from core.errors import CorruptLog, DataMissing, LogLocked
from eventstore import rebuilding
from eventstore.compacting import compact
from eventstore.layout import Layout
from eventstore.manifest import digest_of, read_manifest
from eventstore.parquet import TypedWriter
from eventstore.rebuilding import rebuild
from eventstore.sealing import encode_manifest
from eventstore.verify import verify
from tests.eventstore.sealed_logs import open_log, read_all, write_everything, write_ticks
from tests.eventstore.test_sealing import Crash, Crashing


def _write(root: Path, *, everything: bool) -> Path:
    journal = open_log(root)
    for _ in range(2):
        if everything:
            write_everything(journal)
        write_ticks(journal, 200)
        journal.roll()
        journal.commit(sync=True)
    journal.close()
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("rebuilding") / "log", everything=True)


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "log")
    return tmp_path / "log"


def _sealed(root: Path, index: int = 0) -> Path:
    return Layout(root).sealed_directories()[index]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x04
    path.write_bytes(data)


def _content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _add_unlisted(path: Path) -> None:
    shutil.copyfile(path, path.with_name("extra.parquet"))


@pytest.mark.parametrize("damage", [_flip, _cut, Path.unlink, _add_unlisted], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["quote.parquet", "filled.parquet"])
def test_a_damaged_table_is_made_again_byte_for_byte(root, damage, name):
    expected, before = read_all(root), _content(_sealed(root))
    damage(_sealed(root) / name)
    damaged = _content(_sealed(root))
    report = verify(root)
    assert report.remedy == "rebuild"
    assert {Path(f.path).parent for f in report.findings} == {_sealed(root)}
    assert rebuild(root) == [_sealed(root)]
    assert verify(root, deep=True).findings == []
    assert _content(_sealed(root)) == before
    assert read_all(root) == expected
    [kept] = Layout(root).quarantine.iterdir()
    assert _content(kept) == damaged
    assert list(Layout(root).tmp.iterdir()) == []
    open_log(root).close()


def test_a_compacted_directory_is_rebuilt_from_all_its_segments(tmp_path):
    root = tmp_path / "log"
    for _ in range(3):
        _write(root, everything=False)
    compact(root)
    expected = read_all(root)
    assert len(read_manifest(_sealed(root)).segments) > 3
    for path in _sealed(root).glob("*.parquet"):
        _flip(path)
    assert rebuild(root) == [_sealed(root)]
    assert verify(root, deep=True).findings == []
    assert read_all(root) == expected


def test_nothing_happens_where_nothing_is_damaged(root):
    before = _content(_sealed(root))
    assert rebuild(root, deep=True) == []
    assert _content(_sealed(root)) == before
    assert list(Layout(root).quarantine.iterdir()) == []


def test_each_damaged_directory_is_rebuilt_and_the_second_time_none(root):
    _flip(_sealed(root, 0) / "trade.parquet")
    (_sealed(root, 1) / "trade.parquet").unlink()
    assert rebuild(root) == [_sealed(root, 0), _sealed(root, 1)]
    assert verify(root).findings == []
    _flip(_sealed(root, 0) / "trade.parquet")
    assert rebuild(root) == [_sealed(root, 0)]
    assert len(list(Layout(root).quarantine.iterdir())) == 3


def test_a_table_that_was_rewritten_with_its_digest_is_rebuilt_after_a_deep_check(root):
    expected = read_all(root)
    shutil.copyfile(_sealed(root, 1) / "quote.parquet", _sealed(root) / "quote.parquet")
    manifest = read_manifest(_sealed(root))
    manifest.files["quote.parquet"] = digest_of(_sealed(root) / "quote.parquet")
    (_sealed(root) / "seal.json").write_bytes(encode_manifest(manifest))
    assert rebuild(root) == []
    assert verify(root, deep=True).remedy == "rebuild"
    assert rebuild(root, deep=True) == [_sealed(root)]
    assert verify(root, deep=True).findings == []
    assert read_all(root) == expected


@pytest.mark.parametrize("also", ["trade.parquet", None], ids=["and a table", "alone"])
def test_a_damaged_archive_is_refused_and_what_remains_is_said(root, also):
    _flip(_sealed(root) / "journal.evj.zst")
    if also:
        _flip(_sealed(root) / also)
    before, tables = _content(_sealed(root)), len(list(_sealed(root).glob("*.parquet")))
    assert verify(root).remedy == "restore"
    with pytest.raises(
        CorruptLog, match=rf"journal\.evj\.zst: .* {tables - bool(also)} whole tables; restore"
    ):
        rebuild(root)
    assert _content(_sealed(root)) == before
    assert list(Layout(root).quarantine.iterdir()) == []


def test_a_damaged_archive_does_not_keep_another_directory_from_being_rebuilt(root):
    _flip(_sealed(root, 0) / "journal.evj.zst")
    _flip(_sealed(root, 1) / "quote.parquet")
    assert rebuild(root) == [_sealed(root, 1)]
    report = verify(root)
    assert {Path(f.path).name for f in report.findings} == {"journal.evj.zst"}
    assert report.remedy == "restore"


def test_a_damaged_manifest_is_refused(root):
    (_sealed(root) / "seal.json").write_bytes(b"{}")
    assert verify(root).remedy == "restore"
    with pytest.raises(CorruptLog, match=r"seal\.json: .* restore it from a backup"):
        rebuild(root)


def test_a_damaged_journal_is_a_loss_to_accept_and_not_to_rebuild(tmp_path):
    root = tmp_path / "log"
    journal = open_log(root, sealing=False)
    write_ticks(journal, 200, batch=50)
    journal.roll()
    write_ticks(journal, 50)
    journal.close()
    _flip(Layout(root).segments()[0])
    assert verify(root).remedy == "accept_loss"
    assert rebuild(root) == []


def test_nobody_rebuilds_beside_a_writer_or_where_there_is_no_log(root, tmp_path):
    _flip(_sealed(root) / "trade.parquet")
    journal = open_log(root)
    with pytest.raises(LogLocked):
        rebuild(root)
    journal.close()
    with pytest.raises(DataMissing):
        rebuild(tmp_path / "none")


class _Dropping(TypedWriter):
    def write(self, batch):
        super().write(batch.slice(0, max(1, len(batch) - 1)))


def test_a_table_that_came_out_wrong_is_found_before_it_is_published(root, monkeypatch):
    _flip(_sealed(root) / "quote.parquet")
    before = _content(_sealed(root))
    monkeypatch.setattr("eventstore.sealing.TypedWriter", _Dropping)
    with pytest.raises(CorruptLog, match=r"parquet: seq \d+ differs from the journal's"):
        rebuild(root)
    assert _content(_sealed(root)) == before
    assert list(Layout(root).tmp.iterdir()) == []


def test_without_the_comparison_wrong_tables_would_be_published(root, monkeypatch):
    """The negative control of the test above."""
    _flip(_sealed(root) / "quote.parquet")
    monkeypatch.setattr("eventstore.sealing.TypedWriter", _Dropping)
    monkeypatch.setattr(rebuilding, "_compare", lambda *_: None)
    assert rebuild(root) == [_sealed(root)]
    assert verify(root).findings == []
    assert verify(root, deep=True).findings != []


def test_a_crash_at_any_step_of_a_rebuild_loses_nothing(tmp_path, monkeypatch):
    small = _write(tmp_path / "small", everything=False)
    expected = read_all(small)
    _flip(_sealed(small) / "quote.parquet")
    shutil.copytree(small, tmp_path / "complete")
    complete = Crashing(10**9)
    rebuild(tmp_path / "complete", complete)
    away = 0
    for k in range(len(complete.calls)):
        root = tmp_path / f"crash{k}"
        shutil.copytree(small, root)
        with monkeypatch.context() as patch:
            patch.setattr(rebuilding.shutil, "rmtree", lambda *_, **__: None)
            with pytest.raises(Crash):
                rebuild(root, Crashing(k))
        report = verify(root)
        assert report.remedy in {"rebuild", "none"}
        if len(Layout(root).sealed_directories()) < len(Layout(small).sealed_directories()):
            away += 1
            with pytest.raises(CorruptLog):
                open_log(root)  # it refuses, and wipes the build area
        rebuild(root)
        assert verify(root, deep=True).findings == []
        assert read_all(root) == expected
        open_log(root).close()
    assert away >= 2, "crashes between the two renames"
