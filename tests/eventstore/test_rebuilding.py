"""Damaged tables and manifests are made again from the archive beside them; damaged archives are refused."""

import shutil
from pathlib import Path

import msgspec
import pytest

from core.errors import CorruptLog, DataMissing, LogLocked
from eventstore.integrity import rebuilding
from eventstore.integrity.rebuilding import rebuild
from eventstore.integrity.verify import verify
from eventstore.layout import Layout
from eventstore.manifests.manifest import digest_of, encode_manifest, read_manifest
from eventstore.sealed.outline import outline
from eventstore.sealing.compacting import compact
from eventstore.tables.parquet import TypedWriter
from tests.eventstore.sealed_logs import left_building, open_log, read_all, write_everything, write_ticks
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
    assert left_building(root) == []
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


def _restated(**changes):
    def damage(path: Path) -> None:
        path.write_bytes(encode_manifest(msgspec.structs.replace(read_manifest(path.parent), **changes)))

    return damage


MANIFEST_DAMAGE = {
    "no object": lambda path: path.write_bytes(b"{}"),
    "empty": lambda path: path.write_bytes(b""),
    "no text": lambda path: path.write_bytes(b"\xff\x00"),
    "flipped": _flip,
    "cut": _cut,
    "missing": Path.unlink,
    "other chain": _restated(chain="00" * 16),
    "no segments": _restated(segments=[]),
    "no digests": _restated(files={}),
    "no counts": _restated(types={}),
    "no hash": _restated(chain="none"),
    "other range": _restated(last_seq=7),
}


@pytest.mark.parametrize("name", MANIFEST_DAMAGE)
def test_a_damaged_manifest_is_made_again_byte_for_byte(root, name):
    expected, before = read_all(root), _content(_sealed(root))
    MANIFEST_DAMAGE[name](_sealed(root) / "seal.json")
    assert verify(root).remedy == "rebuild"
    assert rebuild(root) == [_sealed(root)]
    assert verify(root, deep=True).findings == []
    assert _content(_sealed(root)) == before
    assert read_all(root) == expected
    open_log(root).close()


def test_all_manifests_of_a_log_are_made_again_with_their_tables(tmp_path):
    root = tmp_path / "log"
    for _ in range(3):
        _write(root, everything=False)
    compact(root)
    _write(root, everything=False)
    expected = read_all(root)
    directories = Layout(root).sealed_directories()
    before = [_content(directory) for directory in directories]
    assert len(directories) > 1
    for directory in directories:
        (directory / "seal.json").unlink()
        next(directory.glob("*.parquet")).unlink()
    assert rebuild(root) == directories
    assert [_content(directory) for directory in directories] == before
    assert read_all(root) == expected


def test_without_manifest_and_archive_a_directory_is_refused_and_both_are_named(root):
    _flip(_sealed(root) / "journal.evj.zst")
    (_sealed(root) / "seal.json").unlink()
    before = _content(_sealed(root))
    report = verify(root)
    assert report.remedy == "restore"
    assert {Path(f.path).name for f in report.findings} >= {"journal.evj.zst", "seal.json"}
    with pytest.raises(CorruptLog, match=r"journal\.evj\.zst: .* no table of it is whole; restore"):
        rebuild(root)
    assert _content(_sealed(root)) == before


def test_an_archive_with_a_flipped_bit_describes_its_directory_rightly_or_not_at_all(root):
    expected, path = outline(_sealed(root)), _sealed(root) / "journal.evj.zst"
    (_sealed(root) / "seal.json").unlink()
    data, refused = path.read_bytes(), 0
    for place in [*range(16), *range(16, len(data), len(data) // 200)]:
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = outline(_sealed(root))
        except CorruptLog:
            refused += 1
        else:
            assert found == expected
    assert refused > 150


@pytest.fixture
def other(tmp_path):
    """Another log with the same number of events."""
    return _write(tmp_path / "other", everything=True)


@pytest.mark.parametrize("marked", [True, False], ids=["with mark", "without mark"])
def test_the_archive_of_another_log_is_not_taken_for_a_lost_manifest(root, other, marked):
    assert _sealed(root).name == _sealed(other).name
    shutil.copyfile(_sealed(other) / "journal.evj.zst", _sealed(root) / "journal.evj.zst")
    (_sealed(root) / "seal.json").unlink()
    if not marked:
        Layout(root).hwm.unlink()
    with pytest.raises(CorruptLog, match=r"belongs to another log|ends otherwise than"):
        rebuild(root)


def test_without_a_look_at_the_neighbours_the_archive_of_another_log_would_be_taken(root, other, monkeypatch):
    """The negative control of the test above."""
    shutil.copyfile(_sealed(other) / "journal.evj.zst", _sealed(root) / "journal.evj.zst")
    (_sealed(root) / "seal.json").unlink()
    monkeypatch.setattr("eventstore.sealed.outline._check_neighbours", lambda *_: None)
    assert rebuild(root) == [_sealed(root)]
    assert verify(root).findings != []


def test_a_manifest_of_a_newer_program_is_left_alone(root):
    path = _sealed(root) / "seal.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
    assert verify(root).remedy == "restore"
    with pytest.raises(CorruptLog, match=r"seal\.json|upgrade truetape"):
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
    monkeypatch.setattr("eventstore.sealed.tables.TypedWriter", _Dropping)
    with pytest.raises(CorruptLog, match=r"parquet: seq \d+ differs from the journal's"):
        rebuild(root)
    assert _content(_sealed(root)) == before
    assert left_building(root) == []


def test_without_the_comparison_wrong_tables_would_be_published(root, monkeypatch):
    """The negative control of the test above."""
    _flip(_sealed(root) / "quote.parquet")
    monkeypatch.setattr("eventstore.sealed.tables.TypedWriter", _Dropping)
    monkeypatch.setattr(rebuilding, "_compare", lambda *_: None)
    assert rebuild(root) == [_sealed(root)]
    assert verify(root).findings == []
    assert verify(root, deep=True).findings != []


@pytest.mark.slow
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
