"""The one import for users: the strategy API, and `open_log` for notebooks and scripts.

    import truetape

    with truetape.open_log("tape-log") as log:
        log.sql("SELECT * FROM fills").df()
        log.state(at="2025-07-02T15:00:00Z").positions

Everything heavy is imported when it is first used.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import core

# The packages below have plain names; a `core` of the user's own on the path would shadow ours.
if not Path(getattr(core, "__file__", None) or "").resolve().is_relative_to(Path(__file__).resolve().parent):
    raise ImportError(
        f"another package named 'core' is found first: {getattr(core, '__file__', core)}; rename it, or "
        f"put it behind truetape on the path"
    )

from core.asking import Bracket
from core.data_source import DataSource
from core.events import (
    Bar,
    BreakFound,
    CommissionReported,
    ConnectionChanged,
    DataGapChanged,
    DataStateChanged,
    Entry,
    Event,
    FillCorrected,
    Filled,
    HaltRequested,
    HealthChanged,
    OrderStatusChanged,
    PositionAdjusted,
    Quote,
    QuoteBar,
    RiskRefused,
    SignalReceived,
    SinkReported,
    TimerFired,
    Trade,
)
from core.listener import Listener, on
from core.risk.exposure import Case as RiskCase
from core.risk.own import risk_rule
from core.signals.composite import Composite, Reading
from core.signals.opinions import opinion_of
from core.signals.sources import ComputedSignals
from core.sizing.methods import LEAN, MarginSizing, fixed_fractional, volatility_target
from core.sizing.own import sizer
from core.sizing.rules import SizingFacts as SizingCase
from core.strategy import Parameters, Strategy, Subscription, WarmUp
from core.views import ClosedTrade, Order, Position

if TYPE_CHECKING:
    import pyarrow as pa

    from app.look.snapshots import Snapshot
    from app.replay.fixtures import Fixture
    from app.replay.rehearsing import Rehearsal
    from eventstore.runs.reader import RunReader
    from eventstore.sql.connection import Sql

__all__ = [
    "LEAN",
    "Bar",
    "Bracket",
    "BreakFound",
    "ClosedTrade",
    "CommissionReported",
    "Composite",
    "ComputedSignals",
    "ConnectionChanged",
    "DataGapChanged",
    "DataSource",
    "DataStateChanged",
    "Entry",
    "Event",
    "FillCorrected",
    "Filled",
    "HaltRequested",
    "HealthChanged",
    "Listener",
    "Log",
    "MarginSizing",
    "Order",
    "OrderStatusChanged",
    "Parameters",
    "Position",
    "PositionAdjusted",
    "Quote",
    "QuoteBar",
    "Reading",
    "Result",
    "RiskCase",
    "RiskRefused",
    "SignalReceived",
    "SinkReported",
    "SizingCase",
    "State",
    "Strategy",
    "Subscription",
    "TimerFired",
    "Trade",
    "WarmUp",
    "fixed_fractional",
    "load_fixture",
    "on",
    "open_log",
    "opinion_of",
    "rehearse",
    "risk_rule",
    "sizer",
    "volatility_target",
]


class Result:
    """The answer to a SQL statement."""

    def __init__(self, sql: "Sql", text: str) -> None:
        self._sql = sql
        self._text = text

    def __repr__(self) -> str:
        return f"<answer to {' '.join(self._text.split())!r}: .df(), .arrow() or .rows()>"

    def arrow(self) -> "pa.Table":
        """Return an Arrow table."""
        return self._sql.arrow(self._text)

    def df(self) -> Any:
        """Return a pandas data frame."""
        return self._sql.df(self._text)

    def rows(self) -> list[dict[str, Any]]:
        """Return dictionaries; times are ISO text, amounts are exact."""
        answer = self._sql.query(self._text)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


class State:
    """Positions, orders and account as of a moment: of a log the account of its last session."""

    def __init__(self, snapshot: "Snapshot", account: str, currency: str) -> None:
        self._snapshot = snapshot
        self._account = account
        self._currency = currency

    def __repr__(self) -> str:
        from app.values import counted  # noqa: PLC0415
        from core.clock import iso  # noqa: PLC0415

        held, working = counted(len(self.positions), "position"), counted(len(self.orders), "working order")
        return f"<state at {iso(self.ts)}: {held}, {working}, equity {self.equity}>"

    @property
    def ts(self) -> int:
        """The moment, in ns since 1970 UTC."""
        return self._snapshot.ts

    @property
    def positions(self) -> list[Position]:
        """The open positions."""
        return list(self._snapshot.positions.open_positions())

    @property
    def orders(self) -> list[Order]:
        """The orders that could still fill."""
        return list(self._snapshot.orders.working())

    @property
    def cash(self) -> Any:
        """The cash balance (`Decimal`)."""
        return self._snapshot.account.cash(self._account, self._currency)

    @property
    def equity(self) -> Any:
        """The equity (`Decimal`), or `None` while a price or rate is unknown."""
        return self._snapshot.account.equity(self._account, self._currency)


class Log:
    """A log opened for reading; nothing here can change it, and a writer may go on writing.

    Several threads may use one: their statements run one after the other.
    """

    def __init__(self, path: Path | str) -> None:
        from app.look.books import open_log as open_reader  # noqa: PLC0415  (heavy)

        self.path = Path(path)
        self._reader = open_reader(self.path)
        self._connection: Sql | None = None
        self._connecting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        from app.values import counted  # noqa: PLC0415

        runs = counted(len(self.runs()), "run")
        return f"<log {self.path}: {counted(self._reader.last_seq(), 'event')}, {runs}>"

    def close(self) -> None:
        """Release the SQL connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def sql(self, text: str) -> Result:
        """Return the answer to a reading statement over the log and its runs (views: docs/sql.md)."""
        with self._connecting:
            if self._connection is None:
                from eventstore.sql.connection import connect  # noqa: PLC0415  (heavy)

                self._connection = connect(self.path)
            else:
                self._connection.refresh()  # another run, or another hour, may have come since
            return Result(self._connection, text)

    def events(self, *types: type[Event] | str, run: str | None = None, first: int = 1) -> Iterator[Entry]:
        """Yield entries in order: of the log, or of a run (`latest` or an id), from seq `first` on.

        Types are classes or their tags (`"filled"`, docs/events.md); raises `UsageError` for an unknown one.
        """
        from app.look.looking import event_types  # noqa: PLC0415
        from core.ports import Selection  # noqa: PLC0415

        named = event_types(tuple(item for item in types if isinstance(item, str))) or frozenset()
        classes = frozenset(item for item in types if not isinstance(item, str))
        chosen = Selection(first_seq=first, types=named | classes or None)
        source = self._reader if run is None else self.run(run)
        for batch in source.entries(chosen):
            yield from batch

    def state(self, at: int | str | None = None, run: str | None = None) -> State:
        """Return the state at a seq or ISO time; by default at the end of the latest run, or of the log."""
        from app.look.books import open_book  # noqa: PLC0415
        from app.look.moments import parse_moment  # noqa: PLC0415
        from app.look.snapshots import snapshot  # noqa: PLC0415
        from app.operation.operator import last_account  # noqa: PLC0415

        book = open_book(self.path, run)
        moment = None if at is None else parse_moment(str(at), book)
        account = last_account(self._reader) if book.run is None else str(book.run.summary["account"])
        return State(snapshot(book, moment), account, book.currency)

    def run(self, name: str = "latest") -> "RunReader":
        """Return a run by id, unique prefix or `latest`; its `summary` holds all figures."""
        from eventstore.runs.reader import find_run  # noqa: PLC0415

        return find_run(self.path, name)

    def runs(self) -> list["RunReader"]:
        """Return all runs, oldest first."""
        from eventstore.runs.reader import list_runs  # noqa: PLC0415

        return list_runs(self.path)


def open_log(path: Path | str = "tape-log") -> Log:
    """Open a log for reading; raises `DataMissing` if there is none."""
    return Log(path)


def load_fixture(path: Path | str) -> "Fixture":
    """Open a fixture that `tape export --fixture` made; its `replay()` runs it again."""
    from app.replay.fixtures import load_fixture as load  # noqa: PLC0415  (heavy)

    return load(path)


def rehearse(strategy: type[Strategy[Any]], *, date: str = "2025-07-02", **parameters: Any) -> "Rehearsal":
    """Replay a session of the built-in sample through a strategy, for its tests; nothing is kept.

    The result has `.orders`, `.fills`, `.recorded` and `.figures`. Raises as a replay does.
    """
    from app.replay.rehearsing import rehearse as try_out  # noqa: PLC0415  (heavy)

    return try_out(strategy, date=date, **parameters)
