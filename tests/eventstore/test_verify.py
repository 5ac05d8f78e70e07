"""`verify` looks at every byte and names what is wrong, where."""

import shutil
from pathlib import Path

import pytest

from core.errors import CorruptLog, DataMissing, UnsupportedFormat
from eventstore.integrity.verify import verify
from eventstore.layout import Layout
from eventstore.manifests.manifest import read_manifest
from tests.eventstore.sealed_logs import open_log, write_everything, write_ticks


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("verify") / "log"
    journal = open_log(root)
    write_everything(journal)
    write_ticks(journal, 300)
    journal.roll()
    journal.commit(sync=True)
    write_ticks(journal, 300)
    journal.roll()
    journal.commit(sync=True)
    journal.close()
    return root


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "log")
    return tmp_path / "log"


def _flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 0x04
    path.write_bytes(data)


def _sealed(root: Path, index: int = 0) -> Path:
    return Layout(root).sealed_directories()[index]


def test_a_whole_log_has_no_finding_and_its_chain_is_printed(root):
    report = verify(root, deep=True)
    assert report.findings == []
    assert report.ok
    assert report.events == report.last_seq > 600
    assert len(report.chain) == 32


@pytest.mark.parametrize("name", ["trade.parquet", "quote.parquet", "filled.parquet", "journal.evj.zst"])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_one_flipped_bit_in_a_sealed_file_is_found(root, name, at):
    _flip(_sealed(root) / name, at)
    found = verify(root).findings
    assert {Path(finding.path).name for finding in found} == {name}


def test_a_manifest_is_refused_wherever_a_bit_of_it_is_flipped(root):
    path = _sealed(root) / "seal.json"
    whole = path.read_bytes()
    for offset in range(len(whole)):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x01]) + whole[offset + 1 :])
        with pytest.raises((CorruptLog, UnsupportedFormat)):
            read_manifest(path.parent)
    path.write_bytes(whole)
    assert read_manifest(path.parent).first_seq == 1


def test_every_flipped_byte_of_a_sealed_file_is_found(root):
    """Fault 12 on one small file; the negative control is a reader that checks no digest."""
    victim = _sealed(root) / "filled.parquet"
    data = victim.read_bytes()
    part_check = _checker(victim)
    for position in range(0, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 1
        victim.write_bytes(changed)
        assert part_check(), f"byte {position}"
    for length in range(0, len(data), 11):
        victim.write_bytes(data[:length])
        assert part_check(), f"cut to {length}"
    victim.write_bytes(data)
    assert not part_check()


def _checker(victim: Path):
    from core.errors import CorruptLog  # noqa: PLC0415
    from eventstore.manifests.manifest import SealedPart, read_manifest  # noqa: PLC0415

    part = SealedPart(victim.parent, read_manifest(victim.parent))

    def refused() -> bool:
        try:
            part.check(victim.name)
        except CorruptLog:
            return True
        return False

    return refused


def test_files_swapped_between_directories_are_found(root):
    one, other = _sealed(root, 0) / "quote.parquet", _sealed(root, 1) / "quote.parquet"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    assert {f.path for f in verify(root).findings} >= {str(one), str(other)}


def test_a_table_that_differs_from_its_journal_is_found_by_the_deep_check_alone(root):
    """Someone rewrote a table and its digest: the archived journal still tells."""
    from eventstore.manifests.manifest import (  # noqa: PLC0415
        digest_of,
        encode_manifest,
        read_manifest,
    )

    directory = _sealed(root)
    shutil.copyfile(_sealed(root, 1) / "quote.parquet", directory / "quote.parquet")
    manifest = read_manifest(directory)
    manifest.files["quote.parquet"] = digest_of(directory / "quote.parquet")
    (directory / "seal.json").write_bytes(encode_manifest(manifest))
    assert verify(root).findings == []
    found = verify(root, deep=True).findings
    assert [Path(finding.path).name for finding in found] == ["quote.parquet"]
    assert "seq" in found[0].message


def test_what_does_not_belong_is_named(root):
    (_sealed(root) / "extra.parquet").write_bytes(b"?")
    assert {Path(f.path).name for f in verify(root).findings} == {"extra.parquet"}


@pytest.mark.parametrize(
    ("break_it", "file", "message"),
    [
        (lambda root: shutil.rmtree(_sealed(root, 0)), "sealed", "missing"),
        (lambda root: (_sealed(root) / "seal.json").unlink(), "seal.json", "missing"),
        (lambda root: (_sealed(root) / "seal.json").write_bytes(b"{}"), "seal.json", "not a manifest"),
        (lambda root: (_sealed(root) / "trade.parquet").unlink(), "trade.parquet", "cannot be read"),
        (
            lambda root: _sealed(root).rename(root / "sealed" / "00000000000001-00000000000009"),
            "seal.json",
            "states seqs",
        ),
    ],
    ids=["directory gone", "manifest gone", "manifest emptied", "table gone", "directory renamed"],
)
def test_a_damaged_directory_is_named(root, break_it, file, message):
    break_it(root)
    found = verify(root).findings
    assert any(Path(f.path).name == file and message in f.message for f in found), found


def test_verifying_writes_nothing(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    verify(root, deep=True)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_there_must_be_a_log(tmp_path):
    with pytest.raises(DataMissing):
        verify(tmp_path)
