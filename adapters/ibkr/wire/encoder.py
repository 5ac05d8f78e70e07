"""Requests as bytes: `ibapi`'s client writes them, into memory.

A client of its own stands here with a connection that only remembers. Which arguments a method takes
is known from its signature (`Installation`), never from a version. What `ibapi` reports instead of
sending becomes `UnsendableRequest`. It must never touch a socket.
"""

from typing import Any

from adapters.ibkr.wire.contracts import fill_contract
from adapters.ibkr.wire.distribution import Installation, load
from adapters.ibkr.wire.framing import frame
from adapters.ibkr.wire.order_fields import fill_order
from adapters.ibkr.wire.terms import Contract, OrderTerms
from core.clock import NEVER
from core.errors import UnsendableRequest

MILLIS_VERSION = 197
LAST_DAYS_VERSION = 200


class Encoder:
    """Writes the requests of one session. Each method returns the bytes of one frame."""

    def __init__(self, installation: Installation, server_version: int) -> None:
        client = load("client")
        self.server_version = server_version
        self._installation = installation
        self._written = _Written()
        self._complaints = _Complaints()
        self._client = client.EClient(self._complaints)
        self._client.conn = self._written
        self._client.serverVersion_ = server_version
        self._client.setConnState(client.EClient.CONNECTED)
        self._contract = load("contract").Contract
        self._order = load("order").Order
        self._filter = load("execution").ExecutionFilter

    # The session

    def start_api(self, client_id: int) -> bytes:
        """Start the exchange of messages as this client."""
        self._client.clientId = client_id
        return self._request("startApi")

    def req_current_time(self) -> bytes:
        """Ask for the server's clock, in seconds."""
        return self._request("reqCurrentTime")

    def req_current_time_in_millis(self) -> bytes:
        """Ask for the server's clock in ms; below version 197 in seconds, which is all there is."""
        if self.server_version < MILLIS_VERSION or not hasattr(self._client, "reqCurrentTimeInMillis"):
            return self.req_current_time()
        return self._request("reqCurrentTimeInMillis")

    def req_step(self, until_ns: int) -> bytes:
        """Ask a simulated gateway in lock step for what happens next, up to `until_ns`, and for its clock."""
        # The largest number means "unset" on this wire, so a time that never comes is left out.
        return frame(b"105\0" if until_ns >= NEVER else b"105\0%d\0" % until_ns)

    # Orders

    def place_order(self, order_id: int, contract: Contract, terms: OrderTerms) -> bytes:
        """Send a new order, or under the id of a working one its new version."""
        theirs = fill_contract(contract, self._contract())
        return self._request("placeOrder", order_id, theirs, fill_order(terms, self._order()))

    def cancel_order(self, order_id: int) -> bytes:
        """Withdraw one order of this client."""
        more: tuple[Any, ...] = ()
        if self._installation.cancel_order_arity > 1:
            more = ("" if self._installation.cancel_order_takes_text else self._cancellation(),)
        return self._request("cancelOrder", order_id, *more)

    def global_cancel(self) -> bytes:
        """Withdraw all orders of the login, those of other clients and of the window too."""
        more = (self._cancellation(),) if self._installation.global_cancel_arity else ()
        return self._request("reqGlobalCancel", *more)

    def req_open_orders(self) -> bytes:
        """Ask for the working orders of this client, and to hear of them again."""
        return self._request("reqOpenOrders")

    def req_all_open_orders(self) -> bytes:
        """Ask for the working orders of all clients."""
        return self._request("reqAllOpenOrders")

    def req_completed_orders(self, *, api_only: bool = False) -> bytes:
        """Ask for today's orders that are over."""
        return self._request("reqCompletedOrders", api_only)

    def req_executions(self, req_id: int, *, account: str = "", last_days: int | None = None) -> bytes:
        """Ask for fills since midnight, or of the last days where the server can (version 200)."""
        wanted = self._filter()
        wanted.acctCode = account
        if last_days is not None and self.server_version >= LAST_DAYS_VERSION:
            wanted.lastNDays = last_days
        return self._request("reqExecutions", req_id, wanted)

    # The account

    def req_positions(self) -> bytes:
        """Ask for all positions and their changes."""
        return self._request("reqPositions")

    def req_account_updates(self, account: str, *, subscribe: bool = True) -> bytes:
        """Begin or end the updates of an account's values and positions."""
        return self._request("reqAccountUpdates", subscribe, account)

    # Contracts and market data

    def req_contract_details(self, req_id: int, contract: Contract) -> bytes:
        """Ask for all contracts that match."""
        return self._request("reqContractDetails", req_id, self._theirs(contract))

    def req_market_rule(self, rule: int) -> bytes:
        """Ask for the steps of prices that a market rule has; the answer carries the rule, no request id."""
        return self._request("reqMarketRule", rule)

    def req_market_data_type(self, kind: int) -> bytes:
        """Choose 1 live, 2 frozen, 3 delayed or 4 delayed and frozen data for later requests."""
        return self._request("reqMarketDataType", kind)

    def req_mkt_data(
        self, req_id: int, contract: Contract, generic_ticks: str = "", *, snapshot: bool = False
    ) -> bytes:
        """Begin the ticks of a contract."""
        regulatory = False  # it would cost money each time
        theirs = self._theirs(contract)
        return self._request("reqMktData", req_id, theirs, generic_ticks, snapshot, regulatory, [])

    def cancel_mkt_data(self, req_id: int) -> bytes:
        """End what `req_mkt_data` began."""
        return self._request("cancelMktData", req_id)

    def req_tick_by_tick(
        self, req_id: int, contract: Contract, kind: str, *, ignore_size: bool = False
    ) -> bytes:
        """Begin single trades or quotes: `Last`, `AllLast`, `BidAsk` or `MidPoint`."""
        return self._request("reqTickByTickData", req_id, self._theirs(contract), kind, 0, ignore_size)

    def cancel_tick_by_tick(self, req_id: int) -> bytes:
        """End what `req_tick_by_tick` began."""
        return self._request("cancelTickByTickData", req_id)

    def req_historical_data(
        self,
        req_id: int,
        contract: Contract,
        *,
        end: str,
        duration: str,
        bar_size: str,
        what: str = "TRADES",
        regular_hours: bool = True,
        keep_up_to_date: bool = False,
    ) -> bytes:
        """Ask for bars before `end` (`yyyymmdd-hh:mm:ss` UTC, "" for now); times come as epoch seconds."""
        return self._request(
            "reqHistoricalData",
            req_id,
            self._theirs(contract),
            end,
            duration,
            bar_size,
            what,
            int(regular_hours),
            2,
            keep_up_to_date,
            [],
        )

    def cancel_historical_data(self, req_id: int) -> bytes:
        """End a request for bars."""
        return self._request("cancelHistoricalData", req_id)

    def _theirs(self, contract: Contract) -> Any:
        return fill_contract(contract, self._contract())

    def _cancellation(self) -> Any:
        return load("order_cancel").OrderCancel()

    def _request(self, name: str, *arguments: Any) -> bytes:
        self._written.data, self._complaints.texts = b"", []
        try:
            getattr(self._client, name)(*arguments)
        except Exception as error:
            raise UnsendableRequest(_refused(name, self.server_version, str(error))) from error
        if self._complaints.texts or not self._written.data:
            why = "; ".join(self._complaints.texts) or "nothing was written"
            raise UnsendableRequest(_refused(name, self.server_version, why))
        return self._written.data


class _Written:
    """Stands where `ibapi` expects a connection: remembers what would be sent."""

    def __init__(self) -> None:
        self.data = b""

    def isConnected(self) -> bool:  # noqa: N802  (the name that ibapi calls)
        return True

    def sendMsg(self, message: bytes) -> int:  # noqa: N802
        self.data += message
        return len(message)


class _Complaints:
    """Stands where `ibapi` expects a wrapper: a request it cannot send is reported as an error."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def error(self, *arguments: Any) -> None:
        numbers = [item for item in arguments if isinstance(item, int)]
        words = [item for item in arguments if isinstance(item, str) and item]
        self.texts.append(f"{numbers[-1]} {' '.join(words)}")


def _refused(name: str, server_version: int, why: str) -> str:
    return f"{name} cannot be sent at protocol version {server_version}: {why}; nothing was sent"
