"""`tape verify`: silent on a whole log, exact on a damaged one."""

import pytest


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
