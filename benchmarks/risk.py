"""What the risk rules cost: `python benchmarks/risk.py [--ticks 500000] [--strategy composite]`.

The same log with some 2 % orders is replayed without limits and under all rules, alternating in this process;
the figure is the median of the ratios of CPU seconds. The limits are wide, so both trade alike.
"""

import argparse
import statistics
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.composition.seating import StrategySpec
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay
from benchmarks.market import days, make_log, names
from benchmarks.replay import cpu, specs
from core.risk import NO_LIMITS, Limits
from eventstore.reading.reader import LogReader

ROUNDS = 5
ALL_RULES = Limits(
    max_position_size=0.5,
    max_portfolio_risk=0.9,
    max_daily_loss=0.9,
    max_risk_to_stops=0.9,
    max_drawdown=0.9,
    max_leverage=2.0,
    max_orders_per_minute=1_000_000,
    max_open_orders=1_000,
    price_collar=0.5,
    duplicate_within_s=0.000001,
    max_data_age_s=3600.0,
    regular_hours_only=True,
    refuse_halted=True,
    restricted=("NOPE",),
)


COMPOSITE = StrategySpec("composite", {"instruments": names(1), "every": 1})


def replay(root: Path, ticks: int, limits: Limits, strategy: str = "sma_cross") -> int:
    """Replay under `limits`; return how many orders were sent."""
    dates = days(ticks)
    options = ReplayOptions(cash=Decimal(100_000_000), limits=limits)
    chosen = specs(1) if strategy == "sma_cross" else [COMPOSITE]
    run = Replay(root, LogReader(root), Period(dates[0], dates[-1]), chosen, options).run()
    return int(run.summary["orders"])


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=500_000)
    parser.add_argument("--strategy", choices=("sma_cross", "composite"), default="sma_cross")
    given = parser.parse_args()
    ticks, strategy = given.ticks, given.strategy
    with tempfile.TemporaryDirectory() as scratch:
        root = make_log(Path(scratch) / "log", ticks)
        ratios, sent = [], 0
        for _ in range(ROUNDS):
            free, before = cpu(lambda: replay(root, ticks, NO_LIMITS, strategy))
            held, sent = cpu(lambda: replay(root, ticks, ALL_RULES, strategy))
            assert sent == before, f"limits changed what was traded: {before} and {sent} orders"
            ratios.append(held / free)
        share = sent / ticks
        print(
            f"{strategy}, all {len(Limits.__struct_fields__)} rules against none, {share:.2%} orders: ",
            end="",
        )
        print(f"{statistics.median(ratios):.3f} (each {', '.join(f'{r:.3f}' for r in ratios)})")


if __name__ == "__main__":
    main()
