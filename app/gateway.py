"""The simulated IB Gateway, wired: a recorded day, the matching of replays, a book of its own, a server.

The day comes from the log, orders meet it in the simulated broker that replays use, and what happens is
recorded in the gateway's book: an ordinary log, by default beside the day's log, from which a later start
goes on. Nothing of the day's log is changed.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from adapters.ibkr.gateway.accounts import Accounts
from adapters.ibkr.gateway.book import NO_TIME, Book, rebuild
from adapters.ibkr.gateway.contracts import Contracts
from adapters.ibkr.gateway.datarequests import DataRequests
from adapters.ibkr.gateway.daybreak import DayBreak
from adapters.ibkr.gateway.faults import Fault, Faults, parse
from adapters.ibkr.gateway.feeds import Feeds
from adapters.ibkr.gateway.historyrequests import HistoryRequests
from adapters.ibkr.gateway.market import Market, Speed
from adapters.ibkr.gateway.reference import Reference
from adapters.ibkr.gateway.reports import Reports
from adapters.ibkr.gateway.scanner import Scanner
from adapters.ibkr.gateway.server import Server
from adapters.ibkr.gateway.session import Session, Settings
from adapters.ibkr.gateway.telling import Outbox, Telling
from adapters.ibkr.gateway.trading import Trading
from adapters.ibkr.gateway.wire import VERSION_MAX, VERSION_MIN
from adapters.replay.broker import SimulatedBroker
from adapters.replay.source import LogSource
from app.composition.world import World
from app.gateway_day import GatewayDay, look_back
from app.version import VERSION
from core.agenda import Agenda
from core.commissions import commission_model
from core.errors import ConfigError, UsageError
from core.events import (
    AccountMarked,
    CashAdjusted,
    FxRateReported,
    SessionStarted,
)
from core.matching import FillModel
from core.money import money
from core.ports import EntryReader
from eventstore.journal import Journal
from eventstore.layout import Layout
from eventstore.reader import LogReader

ACCOUNT = "DU1000001"
_NUMBER = r"\d{1,15}(?:\.\d{1,8})?"
_BALANCE = re.compile(rf"(?P<currency>[A-Z]{{3}})=(?P<amount>-?{_NUMBER})@(?P<rate>{_NUMBER})")


class Balance(msgspec.Struct, frozen=True):
    """Cash in another currency than the account's, and what one unit is worth in that."""

    currency: str
    amount: Decimal
    rate: Decimal


class GatewayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is asked to be. `speed` is a factor, `max` or `step`; port 0 takes a free one.

    `start` is where the day begins: `open` (regular hours), `begin` (the first event) or a clock time of
    the exchange.
    """

    date: str
    host: str = "127.0.0.1"
    port: int = 4002
    speed: float | Literal["max", "step"] = 1.0
    start: str = ""
    faults: tuple[Fault, ...] = ()
    server_version: int = VERSION_MAX
    account: str = ACCOUNT
    book: Path | None = None
    fresh: bool = False
    cash: Decimal = Decimal(100000)
    currency: str = "USD"
    balances: tuple[Balance, ...] = ()
    commission: str = "ibkr_fixed"
    latency_ms: float = 0.0
    partial_fills: bool = False
    history: int = 1
    """How many sessions before the day are history with all that was recorded of them."""

    @property
    def fills(self) -> FillModel:
        """How orders fill."""
        return FillModel(self.latency_ms, self.partial_fills)


class Gateway(msgspec.Struct, frozen=True):
    """A gateway that listens: `server.run()` serves until `server.stop()`."""

    server: Server
    session: Session
    book: Path
    instruments: tuple[str, ...]
    resumed: bool


def parse_speed(text: str) -> Speed:
    """Return a factor of real time, `max` or `step`; raises `UsageError`."""
    if text == "max":
        return "max"
    if text == "step":
        return "step"
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 100_000:
        raise UsageError(f"--speed {text}: expected a factor such as 1 or 60, max, or step")
    return factor


def parse_balance(text: str) -> Balance:
    """Return the balance that a text such as `EUR=5000@1.08` names; raises `UsageError`."""
    found = _BALANCE.fullmatch(text)
    if found is None or not Decimal(found["rate"]):
        raise UsageError(f"--balance {text}: expected currency, amount and rate, such as EUR=5000@1.08")
    return Balance(found["currency"], Decimal(found["amount"]), Decimal(found["rate"]))


def read_faults(script: str) -> tuple[Fault, ...]:
    """Return the faults of a file, or of a script given as text; raises `ConfigError`."""
    path = Path(script)
    if script and ":" not in script and "=" not in script:
        try:
            return parse(path.read_text("utf-8-sig"), str(path))
        except OSError as error:
            raise ConfigError(f"--faults {script}: {error.strerror}; expected a file or a script") from error
    return parse(script, "--faults")


@contextmanager
def open_gateway(root: Path, request: GatewayRequest) -> Iterator[Gateway]:
    """Open the log's day, the book and the port; on leaving, all is closed and the book durable.

    Raises `DataMissing` if the log has no data of that date, `UsageError` for a port in use, and what
    opening a log raises for the book.
    """
    if not VERSION_MIN <= request.server_version <= VERSION_MAX:
        raise UsageError(
            f"--server-version {request.server_version}: expected {VERSION_MIN} to {VERSION_MAX}; later "
            f"versions are binary and not spoken here"
        )
    if any(other.currency == request.currency for other in request.balances):
        raise UsageError(f"--balance {request.currency}: is the account's own currency; give it as --cash")
    day = GatewayDay(LogReader(root), request.date)
    named = root if root.name not in ("", "..") else root.resolve()
    place = request.book or named.with_name(f"{named.name}-gateway") / request.date
    if request.book and place.exists() and not place.is_dir():
        raise UsageError(f"--book {place}: is a file; expected a directory, which is made if it is not there")
    if request.fresh:
        _set_aside(place)
    journal = Journal.open(place)
    server: Server | None = None
    try:
        parts = _Parts(day, journal, request)
        resumed = parts.open_book()
        session = parts.session(resumed)
        server = Server(session, request.host, request.port, monotonic=time.monotonic)
        yield Gateway(server, session, place, day.instruments, resumed is not None)
    finally:
        if server is not None:
            server.close()
        journal.close()


def _set_aside(place: Path) -> None:
    """Rename an older book, so that a new one can begin in its place."""
    if place.exists():
        number = 1
        while (target := place.with_name(f"{place.name}.{number}")).exists():
            number += 1
        place.rename(target)


class _Parts:
    """A gateway's parts, wired one after the other."""

    def __init__(self, day: GatewayDay, journal: Journal, request: GatewayRequest) -> None:
        self._day = day
        self._journal = journal
        self._request = request
        self._world = World(day.sessions, day.definitions, request.currency, every_order=True)
        self._contracts = Contracts(day.sessions.instruments(), request.date.replace("-", ""))
        self._agenda = Agenda()
        self._commission = commission_model(request.commission)
        self._broker = SimulatedBroker(
            request.fills,
            self._commission,
            self._world.quotes,
            self._world.sessions,
            self._agenda,
            day.plan.bar_instruments,
        )
        self._accounts = Accounts(
            request.account,
            request.currency,
            self._world.account,
            self._world.positions,
            self._world.quotes,
            self._world.sessions,
            self._contracts,
            self._commission,
        )
        self._book = Book(
            journal,
            self._world.folds(),
            self._world.orders,
            self._contracts,
            request.account,
            self._accounts.realised,
        )
        self._feeds = Feeds(self._world.quotes)
        look_back(day, request.history, self._feeds, self._world.quotes)
        self._day_break = DayBreak(self._accounts, day.begin_ts(), self._feeds.closes)

    def open_book(self) -> int | None:
        """Fold the book that there is and return its last time; `None` for one that begins."""
        layout = Layout(self._journal.root)
        if layout.exists() and self._journal.last_seq > 1:
            last = rebuild(self._book, self._day_break.batches(LogReader(self._journal.root).entries()))
            if last is not None:
                return last
        self._begin_book()
        return None

    def _begin_book(self) -> None:
        request, ts = self._request, self._start_ts()
        for entry in self._day.definitions:
            self._journal.append(entry.event)
        options = msgspec.json.encode({"date": request.date, "fills": request.fills.name}).decode()
        started = SessionStarted(
            ts, 1, "gateway", request.account, VERSION, options, "", "[]", request.fills.name, "none"
        )
        self._journal.append(started)
        cash = CashAdjusted(ts, request.account, request.currency, money(request.cash), "starting cash")
        self._book.record(cash)
        for other in request.balances:
            self._book.record(FxRateReported(ts, other.currency, request.currency, money(other.rate)))
            amount = money(other.amount)
            self._book.record(CashAdjusted(ts, request.account, other.currency, amount, "starting cash"))
        self._book.commit()

    def _start_ts(self) -> int:
        start = self._request.start or ("begin" if self._request.speed == "step" else "open")
        return self._day.start_ts(start)

    def session(self, resumed: int | None) -> Session:
        """Return the gateway's session, standing at the day's start or where the book ends."""
        request, world, day, feeds = self._request, self._world, self._day, self._feeds
        outbox = Outbox()
        accounts = self._accounts
        self._day_break.end()
        trading = Trading(
            self._book,
            self._broker,
            self._contracts,
            Telling(self._book, outbox, lambda: market.now, self._broker.resting),
            lambda: market.now,
            accounts.preview,
            accounts.refuses,
        )
        start_ts = self._start_ts()
        if resumed is not None and resumed >= day.begin_ts():
            start_ts = resumed  # else the book ends before the day
        market = Market(
            LogSource(day.reader, day.plan.slices),
            self._broker,
            self._agenda,
            world.quotes,
            start_ts=0,
            end_ts=day.end_ts(),
            speed=request.speed,
            monotonic=time.monotonic,
            take=trading.take,
            listen=feeds.on_event,
        )
        market.skip_to(start_ts, self._broker.recall(trading.waiting()).meet)
        market.minute = self._mark
        trading.resume()
        timezone = day.timezone
        settings = Settings(account=request.account, server_version=request.server_version, timezone=timezone)
        history = HistoryRequests(
            feeds.archive, trading.resolve, world.sessions, lambda: market.now, market.start
        )
        data = DataRequests(feeds, trading, history, lambda: market.now, market.start)
        reports = Reports(accounts, trading, self._contracts, lambda: market.now, timezone)
        reference = Reference(self._contracts, world.sessions, lambda: market.now)
        scanner = Scanner(self._contracts, feeds, world.quotes, lambda: market.now, day.instruments)
        faults = Faults(request.faults)
        return Session(
            settings,
            market,
            trading,
            outbox,
            feeds,
            data,
            reports,
            reference,
            scanner,
            self._contracts,
            faults,
        )

    def _mark(self, ts: int) -> None:
        """Note the time and the equity each minute, so that a restart goes on from there."""
        request, account = self._request, self._world.account
        equity = account.equity(request.account, request.currency)
        cash = account.total_cash(request.account, request.currency)
        if cash is not None:
            self._book.mark(AccountMarked(ts, request.account, request.currency, equity, cash))


def last_ts(reader: EntryReader) -> int | None:
    """Return the last time a book speaks of; `None` if it holds definitions only."""
    last: int | None = None
    for batch in reader.entries():
        for entry in batch:
            if not isinstance(entry.event, NO_TIME):
                last = max(last or 0, entry.event.ts)
    return last
