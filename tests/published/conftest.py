"""Logs of the data that others published results on, and a way to run examples/published on them."""

import csv
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.replay.tables.options import TableOptions
from app.composition.seating import StrategySpec
from app.data.importing import ImportRequest, run_import
from app.replay.options import ReplayOptions
from app.replay.period import parse_period
from app.replay.replaying import Replay
from core.events import Filled, OrderIntended
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader
from tests.conftest import PROJECT, SHARED_DATA
from tests.logs import events_of
from tests.once import once

EXAMPLES = PROJECT / "examples" / "published"
LEAN_DATA = (
    ("minute", None),
    ("second", None),
    ("daily", "2012-12-31..2016-12-31"),
    ("hour", "2013-10-01..2013-10-31"),
    ("hour", "2017-08-18..2017-08-21"),
    ("hour", "2019-01-01..2019-01-20"),
    ("hour", "2021-02-22..2021-03-10"),
)
Play = Callable[..., RunReader]


def needs_data() -> None:
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the market data in ../shared/data, which is not part of the project")


@pytest.fixture(scope="session")
def lean_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that several modules replay from: nobody writes it, and runs beside it are each their own."""
    needs_data()
    return once(tmp_path_factory, "lean", lambda place: imported(place / "log", LEAN_DATA)) / "log"


@pytest.fixture(scope="session")
def lean_years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_data()
    return imported(tmp_path_factory.mktemp("years") / "log", (("daily", "2004-01-01..2018-02-01"),))


def imported(log: Path, data: tuple[tuple[str, str | None], ...]) -> Path:
    for resolution, date in data:
        request = ImportRequest(
            format="lean", root=SHARED_DATA / "lean", symbol="SPY", resolution=resolution, date=date
        )
        assert run_import(log, request).result.rejected == 0
    return log


@pytest.fixture(scope="session")
def goog_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Daily bars, and each day's open as the opening print that it is."""
    needs_data()
    folder = tmp_path_factory.mktemp("goog")
    with (SHARED_DATA / "backtesting_py" / "GOOG.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("Open", "High", "Low", "Close", "Volume")
    bars = ["date,open,high,low,close,volume", *(",".join([r[""], *(r[n] for n in names)]) for r in rows)]
    opens = ["time,price,size", *(f"{r['']} 09:30:00,{r['Open']},100" for r in rows)]
    for name, kind, lines in (("bars", "bars", bars), ("opens", "trades", opens)):
        path = folder / f"{name}.csv"
        path.write_text("\n".join(lines) + "\n")
        request = ImportRequest(
            format="csv",
            files=(path,),
            symbol="GOOG",
            resolution="daily" if kind == "bars" else "tick",
            table=TableOptions(
                kind=kind,
                exchange="XNYS",
                timezone="America/New_York",
                feed=f"goog/{name}",
            ),
        )
        assert run_import(folder / "log", request).result.accepted == len(rows)
    return folder / "log"


@pytest.fixture(scope="session")
def index_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A European index of 2006 as a future that is worth ten times its price."""
    needs_data()
    log = tmp_path_factory.mktemp("index") / "log"
    table = TableOptions(
        exchange="XEUR", timezone="Europe/Berlin", security_type="FUT", multiplier="10", currency="USD"
    )
    path = SHARED_DATA / "backtrader" / "2006-day-001.txt"
    request = ImportRequest(format="csv", files=(path,), symbol="ESX", resolution="daily", table=table)
    assert run_import(log, request).result.accepted == 255
    return log


@pytest.fixture(scope="session")
def play() -> Play:
    def run(log: Path, strategy: str, period: str, feed: str | None = None, **options: Any) -> RunReader:
        parameters = options.pop("parameters", {})
        options = {"commission": "lean", "feed": feed, **options}
        spec = StrategySpec(str(EXAMPLES / strategy), parameters)
        return Replay(log, LogReader(log), parse_period(period), [spec], ReplayOptions(**options)).run()

    return run


def fills(run: RunReader) -> list[Filled]:
    return events_of(run, Filled)


def intents(run: RunReader) -> list[OrderIntended]:
    return events_of(run, OrderIntended)


def net_profit_pct(told: dict[str, Any]) -> Decimal:
    """Return the net profit of a run from 100,000, in per cent as it is published."""
    return round((Decimal(told["end_equity"]) / 100_000 - 1) * 100, 3)


def drawdown_pct(told: dict[str, Any]) -> Decimal:
    """Return the largest drawdown of a run, in per cent as it is published."""
    return round(Decimal(told["max_drawdown"]), 3) * 100


def cents(amount: str) -> Decimal:
    return Decimal(amount).quantize(Decimal("0.01"), "ROUND_HALF_UP")
