"""Requests about the account: positions, values, summaries, P&L, executions; and their updates.

Subscriptions are told again when something changed: positions and values after each fill, P&L at most once
a second of the day. Reads the book and the projections, never changes them.
"""

from collections.abc import Callable, Iterable

from adapters.ibkr.gateway import requests
from adapters.ibkr.gateway.accounts import Accounts, summary_rows
from adapters.ibkr.gateway.answers import portfolio, position, position_multi
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contracts
from adapters.ibkr.gateway.requests import ExecutionsRequest
from adapters.ibkr.gateway.times import day, local_time, moment
from adapters.ibkr.gateway.trading import Refusal, Trading
from adapters.ibkr.gateway.wire import Cursor
from core.clock import DAY_NS, HOUR_NS, SECOND_NS
from core.views import Execution, Position

Handler = Callable[[Client, Cursor], None]
_LONGEST_DAY_NS = 25 * HOUR_NS


class Reports:
    """Answers what the account is, and keeps subscribers up to date."""

    def __init__(
        self,
        accounts: Accounts,
        trading: Trading,
        contracts: Contracts,
        now: Callable[[], int],
        timezone: str,
    ) -> None:
        self._accounts = accounts
        self._trading = trading
        self._contracts = contracts
        self._now = now
        self._timezone = timezone
        self._pnl_second = 0

    def routes(self) -> dict[int, Handler]:
        """Return the handlers by request id."""
        return {
            61: self._positions,
            64: self._cancel_positions,
            74: self._positions_multi,
            75: lambda _client, _cursor: None,
            6: self._account_updates,
            62: self._summary,
            63: self._cancel_summary,
            76: self._updates_multi,
            77: lambda client, cursor: client.updates_multi.discard(_second(cursor)),
            92: self._pnl,
            93: lambda client, cursor: _forget(client, cursor.integer("reqId")),
            94: self._pnl_single,
            95: lambda client, cursor: _forget(client, cursor.integer("reqId")),
            7: self._executions,
            5: self._open_orders,
            16: self._all_open_orders,
            15: self._auto_open_orders,
            99: self._completed_orders,
        }

    # -- positions -----------------------------------------------------------------------------

    def _positions(self, client: Client, _cursor: Cursor) -> None:
        client.positions = True
        for held in self._accounts.positions():
            self._tell_position(client, held)
        client.post([62, 1])

    def _tell_position(self, client: Client, held: Position) -> None:
        contract = self._accounts.contract(held.instrument)
        average = self._accounts.average_cost(held)
        client.post(position(held.account, contract, held.quantity, average))

    def _cancel_positions(self, client: Client, _cursor: Cursor) -> None:
        client.positions = False

    def _positions_multi(self, client: Client, cursor: Cursor) -> None:
        cursor.skip(1)
        req_id = cursor.integer("reqId")
        self._own(cursor.text("account"))
        for held in self._accounts.positions():
            contract = self._accounts.contract(held.instrument)
            average = self._accounts.average_cost(held)
            client.post(position_multi(req_id, held.account, contract, held.quantity, average))
        client.post([72, 1, req_id])

    def _own(self, account: str) -> None:
        if account not in ("", "All", self._accounts.account):
            raise Refusal(321, f"Error validating request.-'bX' : cause - Invalid account code '{account}'.")

    # -- values --------------------------------------------------------------------------------

    def _account_updates(self, client: Client, cursor: Cursor) -> None:
        cursor.skip(1)
        client.account_updates = cursor.boolean("subscribe")
        self._own(cursor.text("acctCode"))
        if client.account_updates:
            self._tell_account(client, self._accounts.positions())
            client.post([54, 1, self._accounts.account])

    def _tell_account(self, client: Client, held: Iterable[Position]) -> None:
        account = self._accounts.account
        for key, value, currency in self._accounts.rows():
            client.post([6, 2, key, value, currency, account])
        for each in held:
            contract = self._accounts.contract(each.instrument)
            client.post(portfolio(account, contract, self._accounts.portfolio(each)))
        client.post([8, 1, f"{local_time(self._now(), self._timezone):%H:%M}"])

    def _summary(self, client: Client, cursor: Cursor) -> None:
        cursor.skip(1)
        req_id, _group, tags = cursor.integer("reqId"), cursor.text("group"), cursor.text("tags")
        client.summaries[req_id] = tuple(tag.strip() for tag in tags.split(","))
        self._tell_summary(client, req_id)
        client.post([64, 1, req_id])

    def _tell_summary(self, client: Client, req_id: int) -> None:
        rows = summary_rows(self._accounts.rows(), client.summaries[req_id])
        for tag, value, currency in rows:
            client.post([63, 1, req_id, self._accounts.account, tag, value, currency])

    def _cancel_summary(self, client: Client, cursor: Cursor) -> None:
        client.summaries.pop(_second(cursor), None)

    def _updates_multi(self, client: Client, cursor: Cursor) -> None:
        cursor.skip(1)
        req_id = cursor.integer("reqId")
        self._own(cursor.text("account"))
        client.updates_multi.add(req_id)
        self._tell_multi(client, req_id)
        client.post([74, 1, req_id])

    def _tell_multi(self, client: Client, req_id: int) -> None:
        for key, value, currency in self._accounts.rows():
            client.post([73, 1, req_id, self._accounts.account, "", key, value, currency])

    # -- profit --------------------------------------------------------------------------------

    def _pnl(self, client: Client, cursor: Cursor) -> None:
        req_id = cursor.integer("reqId")
        self._own(cursor.text("account"))
        client.pnl[req_id] = None
        self._tell_pnl(client, req_id)

    def _pnl_single(self, client: Client, cursor: Cursor) -> None:
        req_id = cursor.integer("reqId")
        self._own(cursor.text("account"))
        cursor.skip(1)  # model code
        con_id = cursor.integer("conId")
        if self._contracts.by_con_id(con_id) is None:
            raise Refusal(200, "No security definition has been found for the request")
        client.pnl[req_id] = con_id
        self._tell_pnl(client, req_id)

    def _tell_pnl(self, client: Client, req_id: int) -> None:
        con_id = client.pnl[req_id]
        if con_id is None:
            pnl = self._accounts.pnl()
            client.post([94, req_id, pnl.daily, pnl.unrealised, pnl.realised])
            return
        contract = self._contracts.by_con_id(con_id)
        assert contract is not None
        pnl, held = (
            self._accounts.pnl_single(contract.instrument),
            self._accounts.position(contract.instrument),
        )
        told = [pnl.daily, pnl.unrealised, pnl.realised, self._accounts.market_value(held)]
        client.post([95, req_id, held.quantity, *told])

    # -- updates -------------------------------------------------------------------------------

    def changed(self, clients: Iterable[Client], instrument: str) -> None:
        """Tell subscribers that a position and the cash changed."""
        held = self._accounts.position(instrument)
        for client in clients:
            if client.positions:
                self._tell_position(client, held)
            if client.account_updates:
                self._tell_account(client, [held])
            for req_id in client.summaries:
                self._tell_summary(client, req_id)
            for req_id in client.updates_multi:
                self._tell_multi(client, req_id)
            for req_id in client.pnl:
                self._tell_pnl(client, req_id)

    def tick(self, clients: Iterable[Client]) -> None:
        """Tell P&L subscribers what prices made of it, once a second of the day."""
        second = self._now() // SECOND_NS
        if second == self._pnl_second:
            return
        self._pnl_second = second
        for client in clients:
            for req_id in client.pnl:
                self._tell_pnl(client, req_id)

    # -- orders and executions -----------------------------------------------------------------

    def _open_orders(self, client: Client, _cursor: Cursor) -> None:
        self._tell_orders(client, own=True)

    def _all_open_orders(self, client: Client, _cursor: Cursor) -> None:
        self._tell_orders(client, own=False)

    def _tell_orders(self, client: Client, *, own: bool) -> None:
        for held in self._trading.book.open():
            if not own or held.ticket.client_id == client.id:
                for fields in self._trading.telling.order_frames(held, client.version):
                    client.post(fields)
        client.post([53, 1])

    def _auto_open_orders(self, client: Client, _cursor: Cursor) -> None:
        if client.id != 0:
            message = "Error validating request.-'bX' : cause - Only the default client (i.e 0) can auto bind"
            raise Refusal(321, f"{message} orders.")

    def _completed_orders(self, client: Client, _cursor: Cursor) -> None:
        """Answer with the orders of the day that are over, as IB does."""
        book, telling, now = self._trading.book, self._trading.telling, self._now()
        for held in book.ended(now - _LONGEST_DAY_NS):
            zone = held.contract.timezone
            if held.live and day(book.view(held).updated_ts, zone) == day(now, zone):
                client.post(telling.completed_frame(held, client.version))
        client.post([102])

    def _executions(self, client: Client, cursor: Cursor) -> None:
        asked = requests.executions(cursor, client.version)
        telling, book = self._trading.telling, self._trading.book
        for execution in book.executions(self._earliest(asked)):
            if self._wanted(asked, execution):
                client.post(telling.execution_frame(execution.exec_id, client.version, asked.req_id))
                charge = book.commission(execution.exec_id)
                if charge is not None:
                    client.post(telling.commission_frame(charge))
        client.post([55, 1, asked.req_id])

    def _wanted(self, asked: ExecutionsRequest, execution: Execution) -> bool:
        held = self._trading.book.get(execution.order)
        contract = held.contract
        side = "BUY" if execution.side == "BUY" else "SELL"
        return (
            self._in_days(asked, execution.ts, contract.timezone)
            and asked.client_id in (0, held.ticket.client_id)
            and asked.account in ("", self._accounts.account)
            and (not asked.time or execution.ts >= moment(asked.time, contract.timezone))
            and asked.symbol in ("", contract.symbol)
            and asked.kind in ("", contract.kind)
            and asked.exchange in ("", "SMART", contract.exchange, contract.primary)
            and (not asked.side or side.startswith(asked.side.upper()[:1]) or _bot_sld(asked.side) == side)
        )

    def _in_days(self, asked: ExecutionsRequest, ts: int, timezone: str) -> bool:
        """Return whether an execution is of the days asked for: today, unless the request says more."""
        made = day(ts, timezone)
        if asked.dates:
            return made in asked.dates
        days = asked.days or 0
        return made >= day(self._now() - days * DAY_NS, timezone)

    def _earliest(self, asked: ExecutionsRequest) -> int:
        """Return a time before which nothing is of the days asked for, in whatever time zone."""
        if asked.dates:
            return min(moment(date, "UTC") for date in asked.dates) - _LONGEST_DAY_NS
        return self._now() - (asked.days or 0) * DAY_NS - _LONGEST_DAY_NS


def _bot_sld(side: str) -> str:
    return {"BOT": "BUY", "SLD": "SELL"}.get(side.upper(), "")


def _second(cursor: Cursor) -> int:
    """Return the request id of a request that begins with its version."""
    cursor.skip(1)
    return cursor.integer("reqId")


def _forget(client: Client, req_id: int) -> None:
    client.pnl.pop(req_id, None)
