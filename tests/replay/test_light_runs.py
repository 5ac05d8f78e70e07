"""A light run is the run without its files: same id, same hashes, same summary."""

from pathlib import Path

import msgspec

from app.composition.seating import StrategySpec
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay, again
from core.events import Filled
from eventstore.reading.reader import LogReader
from tests.research.conftest import make_log

SPEC = StrategySpec("sma_cross", {"instrument": "ABC", "fast": 3, "slow": 8})


def test_a_light_run_has_the_hashes_of_the_run_and_leaves_no_file(tmp_path: Path) -> None:
    root = make_log(tmp_path, ["2025-07-02"], 240, 13)
    reader = LogReader(root)
    period = Period("2025-07-02", "2025-07-02")
    light = Replay(root, reader, period, [SPEC], ReplayOptions()).run_light(frozenset({Filled}))
    assert not [path for path in (root / "runs").glob("*") if path.is_dir()]
    run = again(root, reader, light).run()
    assert run.id == light.id
    told = msgspec.json.decode(msgspec.json.encode(light.summary))
    assert {key: run.summary[key] for key in told} == told
    assert len(light.events) == run.summary["fills"] > 3
    other = StrategySpec("sma_cross", {"instrument": "ABC", "fast": 4, "slow": 8})
    differs = Replay(root, reader, period, [other], ReplayOptions()).run_light(frozenset())
    assert differs.summary["decisions_hash"] != light.summary["decisions_hash"]
