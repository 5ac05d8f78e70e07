"""`tape verify`: silent on a whole log, exact on a damaged one."""

import shutil
from pathlib import Path

import pytest

from eventstore.journal.journal import Journal
from eventstore.layout import Layout
from tests.conftest import sampled
from tests.eventstore.sealed_logs import open_log, write_ticks
from tests.faults.journals import event_of


def flip(path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_whole_log_has_no_problems(tape, log):
    done = tape("--log", log, "verify", "--deep", "--json")
    assert done.code == 0
    assert (done.json["ok"], done.json["findings"]) == (True, [])
    assert done.json["runs"] == 1


@pytest.mark.parametrize("name", ["trade.parquet", "journal.evj.zst", "seal.json"])
def test_one_flipped_bit_in_a_sealed_file_is_found_and_named(tape, log, name):
    path = next(log.glob(f"sealed/*/{name}"))
    flip(path, path.stat().st_size // 2)
    done = tape("--log", log, "verify", "--json")
    assert done.code == 1
    assert any(item["path"].endswith(name) for item in done.json["findings"])
    assert str(path) in tape("--log", log, "verify").out


def test_one_flipped_bit_in_a_run_is_found(tape, log):
    path = next(log.glob("runs/*/filled.parquet"))
    flip(path, path.stat().st_size // 2)
    assert tape("--log", log, "verify").code == 1


def test_there_is_no_loss_to_accept_in_a_whole_log(tape, log):
    done = tape("--log", log, "verify", "--accept-loss", "testing", "--json")
    assert done.code == 0
    assert done.json["accepted"] is None


def test_a_log_of_a_newer_version_is_no_damage_to_repair(tape, log):
    path = next(log.glob("sealed/*/seal.json"))
    path.write_text(path.read_text().replace('"format": 1', '"format": 2', 1))
    before = {one: one.read_bytes() for one in log.rglob("*") if one.is_file()}
    done = tape("--log", log, "verify")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("next: upgrade truetape: a newer version wrote this log")
    for repair in (["--rebuild"], ["--accept-loss", "testing"]):
        refused = tape("--log", log, "verify", *repair)
        assert refused.code == 6
        assert "next: upgrade truetape" in refused.err
    assert before == {one: one.read_bytes() for one in log.rglob("*") if one.is_file()}


def test_a_tail_that_was_never_durable_is_told_of_and_no_damage(tape, tmp_path):
    journal, root = Journal.open(tmp_path / "open"), tmp_path / "log"
    journal.append(event_of(1))
    journal.commit(sync=False)
    shutil.copytree(tmp_path / "open", root)
    journal.close()
    assert tape("--log", root, "verify", "--json").json["tail"] is None
    (segment,) = Layout(root).segments()
    segment.write_bytes(segment.read_bytes()[:-5])
    done = tape("--log", root, "verify", "--json")
    size = segment.stat().st_size - 128
    assert (done.code, done.json["ok"], done.json["events"]) == (0, True, 0)
    assert (done.json["tail"]["offset"], done.json["tail"]["bytes"]) == (128, size)
    says = f"note: {segment}: the last {size} bytes, from offset 128 on, are no whole block"
    assert says in tape("--log", root, "verify").out


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


REPLAY = ("replay", "2025-07-03", "--strategy", "buy_and_hold", "--set", "instrument=ZVXA", "--json")


@pytest.mark.parametrize(
    "damage",
    sampled([lambda path: flip(path, 900), type(Path()).unlink, cut], every=3),
    ids=["flipped", "deleted", "cut"],
)
def test_a_damaged_table_is_rebuilt_by_the_command_that_verify_names(tape, log, damage):
    events = ("--log", log, "sql", "SELECT count(*), sum(hash(seq, ts, price)) FROM trades", "--json")
    before = tape(*events).out
    path = next(log.glob("sealed/*/trade.parquet"))
    damage(path)
    found = tape("--log", log, "verify")
    assert (found.code, str(path) in found.out) == (1, True)
    assert found.err.splitlines()[-1].endswith("verify --rebuild")
    refused = tape("--log", log, *REPLAY)
    assert refused.code != 0
    done = tape("--log", log, "verify", "--rebuild")
    assert done.code == 0, done.err
    assert f"rebuilt sealed/{path.parent.name}" in done.out
    assert tape("--log", log, "verify", "--deep").code == 0
    assert tape(*events).out == before
    replayed = tape("--log", log, *REPLAY)
    assert replayed.code == 0, replayed.err


def test_there_is_nothing_to_rebuild_in_a_whole_log(tape, log):
    done = tape("--log", log, "verify", "--rebuild", "--json")
    assert (done.code, done.json["rebuilt"]) == (0, [])


def test_a_damaged_archive_is_refused_by_rebuild_and_a_backup_is_asked_for(tape, log):
    path = next(log.glob("sealed/*/journal.evj.zst"))
    flip(path, path.stat().st_size // 2)
    assert "next: restore from a backup" in tape("--log", log, "verify").err
    done = tape("--log", log, "verify", "--rebuild")
    assert done.code == 6
    assert f"{path}: " in done.err
    assert "restore" in done.err


def test_a_damaged_table_is_no_loss_to_accept_and_the_way_on_is_named(tape, log):
    next(log.glob("sealed/*/trade.parquet")).unlink()
    done = tape("--log", log, "verify", "--accept-loss", "testing")
    assert done.code == 2
    assert "lost nothing" in done.err
    assert f"next: tape --log {log} verify --rebuild" in done.err
    assert tape("--log", log, "verify", "--rebuild", "--accept-loss", "testing").code == 2


def test_a_damaged_journal_is_a_loss_to_accept_and_the_log_goes_on(tape, tmp_path):
    root = tmp_path / "hot"
    journal = open_log(root, sealing=False)
    write_ticks(journal, 200, batch=50)
    journal.roll()
    write_ticks(journal, 50)
    journal.close()
    path = Layout(root).segments()[0]
    flip(path, path.stat().st_size // 2)
    found = tape("--log", root, "verify")
    assert (found.code, "verify --accept-loss REASON" in found.err) == (1, True)
    accepted = tape("--log", root, "verify", "--accept-loss", "testing", "--json")
    assert (accepted.code, accepted.json["accepted"]["first_lost_seq"]) == (0, 101)
    assert tape("--log", root, "verify").code == 0


def test_a_damaged_high_water_mark_is_named_and_written_again(tape, log):
    mark = log / "HWM"
    whole = mark.read_bytes()
    flip(mark, 40)
    found = tape("--log", log, "verify", "--json")
    (finding,) = found.json["findings"]
    assert (found.code, finding["path"], found.json["remedy"]) == (1, str(mark), "rebuild")
    assert f"damaged: {mark}: the high-water mark" in tape("--log", log, "status").err
    done = tape("--log", log, "verify", "--rebuild")
    assert (done.code, "rebuilt HWM" in done.out) == (0, True)
    assert mark.read_bytes()[:8] == whole[:8]
    assert tape("--log", log, "verify").code == 0
    assert "damaged:" not in tape("--log", log, "status").err


def test_a_new_log_is_not_said_to_have_lost_its_high_water_mark(tape, tmp_path):
    journal = Journal.open(tmp_path / "log")
    journal.extend([event_of(1)])
    journal.commit(sync=False)
    assert (tmp_path / "log" / "HWM").read_bytes() == b""
    assert tape("--log", tmp_path / "log", "verify").code == 0
    assert "damaged:" not in tape("--log", tmp_path / "log", "status").err
    journal.close()
