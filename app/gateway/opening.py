"""A simulated IB Gateway, wired: a recorded day, the matching of replays, a book of its own, a server.

The day comes from the log, orders meet it in the simulated broker that replays use, and what happens is
recorded in the gateway's book: an ordinary log, by default beside the day's log, from which a later start
goes on. Nothing of the day's log is changed.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from adapters.ibkr.gateway.accounts import Accounts
from adapters.ibkr.gateway.book import Book, rebuild
from adapters.ibkr.gateway.contracts import Contracts
from adapters.ibkr.gateway.datarequests import DataRequests
from adapters.ibkr.gateway.daybreak import DayBreak
from adapters.ibkr.gateway.faults import Faults
from adapters.ibkr.gateway.feeds import Feeds
from adapters.ibkr.gateway.historyrequests import HistoryRequests
from adapters.ibkr.gateway.market import Market
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
from app.gateway.day import GatewayDay, look_back
from app.gateway.request import GatewayRequest
from app.version import VERSION
from core.agenda import Agenda
from core.commissions import commission_model
from core.errors import UsageError
from core.events import AccountMarked, CashAdjusted, FxRateReported, SessionStarted
from core.money import money
from eventstore.journal.journal import Journal
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader


class Gateway(msgspec.Struct, frozen=True):
    """A gateway that listens: `server.run()` serves until `server.stop()`."""

    server: Server
    session: Session
    book: Path
    instruments: tuple[str, ...]
    resumed: bool


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
            self._world.quotes.book,
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
        world, day, feeds, accounts = self._world, self._day, self._feeds, self._accounts
        outbox = Outbox()
        self._day_break.end()

        def now() -> int:
            return market.now

        trading = Trading(
            self._book,
            self._broker,
            self._contracts,
            Telling(self._book, outbox, now, self._broker.resting),
            now,
            accounts.preview,
            accounts.refuses,
        )
        market = self._market(trading)
        market.skip_to(self._goes_on_at(resumed), self._broker.recall(trading.waiting()).meet)
        market.minute = self._mark
        trading.resume()
        history = HistoryRequests(feeds.archive, trading.resolve, world.sessions, now, market.start)
        return Session(
            self._settings(),
            market,
            trading,
            outbox,
            feeds,
            DataRequests(feeds, trading, history, now, market.start),
            Reports(accounts, trading, self._contracts, now, day.timezone),
            Reference(self._contracts, world.sessions, now),
            Scanner(self._contracts, feeds, world.quotes, now, day.instruments),
            self._contracts,
            Faults(self._request.faults),
        )

    def _market(self, trading: Trading) -> Market:
        day = self._day
        return Market(
            LogSource(day.reader, day.plan.slices),
            self._broker,
            self._agenda,
            self._world.quotes,
            start_ts=0,
            end_ts=day.end_ts(),
            speed=self._request.speed,
            monotonic=time.monotonic,
            take=trading.take,
            listen=self._feeds.on_event,
        )

    def _goes_on_at(self, resumed: int | None) -> int:
        # A book may end before the day begins.
        return resumed if resumed is not None and resumed >= self._day.begin_ts() else self._start_ts()

    def _settings(self) -> Settings:
        request = self._request
        return Settings(
            account=request.account,
            server_version=request.server_version,
            timezone=self._day.timezone,
        )

    def _mark(self, ts: int) -> None:
        """Note the time and the equity each minute, so that a restart goes on from there."""
        request, account = self._request, self._world.account
        equity = account.equity(request.account, request.currency)
        cash = account.total_cash(request.account, request.currency)
        if cash is not None:
            self._book.mark(AccountMarked(ts, request.account, request.currency, equity, cash))
