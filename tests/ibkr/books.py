"""Our log's folds and a broker's messages in few words, for tests of what the one makes of the other."""

from collections.abc import Iterable
from decimal import Decimal

from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.orders import OrderChannel
from adapters.ibkr.trading.reconcile import reconcile
from adapters.ibkr.trading.snapshot import Evidence, Snapshot
from adapters.ibkr.wire.messages import (
    AccountValue,
    CommissionReport,
    CompletedOrder,
    ErrorMessage,
    Execution,
    OpenOrder,
    OrderStatus,
    Position,
)
from adapters.ibkr.wire.terms import Contract, OrderState, OrderTerms
from core.clock import SECOND_NS
from core.effects import Effect
from core.events import (
    BreakFound,
    BrokerMessage,
    CashAdjusted,
    Entry,
    Event,
    ModifyIntended,
    OrderIntended,
    OrderResolved,
    OrderSendStarted,
    OrderSent,
    RiskApproved,
)
from projections.account import Account
from projections.gate import Gate
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from projections.routes import Routes
from projections.sessions import Sessions
from tests.projections.build import stock

D = Decimal
ACCOUNT, CLIENT, CON_ID = "DU1", 7, 1
ACME = Contract(con_id=CON_ID, symbol="ACME", kind="STK", exchange="SMART", currency="USD")
NOON = 1_751_472_000 * SECOND_NS  # 12:00 in New York
WHEN = "20250702 12:00:00 America/New_York"


class Names:
    """Knows one share."""

    def instrument(self, con_id, symbol):
        return "ACME" if con_id == CON_ID else f"{symbol}-{con_id}"


class Books:
    """The folds of a log, a channel beside them, and a clock that the test sets."""

    def __init__(self, channel=OrderChannel, keep=None):
        self.now = NOON
        self.log: list[Event] = []
        self.orders, self.routes, self.gate = Orders(keep), Routes(), Gate()
        self.positions, self.sessions = Positions(), Sessions()
        self.account = Account(Quotes(), self.positions)
        self.projections = (
            self.orders, self.routes, self.gate, self.positions, self.account, self.sessions,
        )  # fmt: skip
        self.channel = channel(CLIENT, "T.", self.routes, self.orders, self.sessions, Names())
        self.channel.out.offered(17)
        self.take([stock()])

    @property
    def folds(self):
        folds = (self.orders, self.positions, self.account, self.routes, Names(), self.gate)
        return Folds(*folds, self.sessions)

    def take(self, events: Iterable[Event]) -> list[Event]:
        """Record events: fold them, and let the channel know."""
        taken = list(events)
        for event in taken:
            self.log.append(event)
            entry = Entry(len(self.log), None, len(self.log), None, event)
            for projection in self.projections:
                projection.apply(entry)
        self.channel.folded()
        return taken

    def restarted(self) -> "Books":
        """Return what a new process makes of the log."""
        again = Books(type(self.channel))
        again.log.clear()
        again.now = self.now
        again.take(self.log[1:])
        return again

    def hear(self, *messages, together=False) -> list[Event]:
        """Take messages one look after the other, or all in one look."""
        events: list[Event] = []
        for message in messages:
            found = list(self.channel.events(message, self.now))
            events += found if together else self.take(found)
        return self.take(events) if together else events

    # -- what we did ---------------------------------------------------------------------------

    def decide(self, order="a-1-1", quantity=100, limit="10", side="BUY") -> OrderIntended:
        """Record an order up to its approval, not the attempt to send it."""
        kind = "MKT" if limit is None else "LMT"
        price = None if limit is None else D(limit)
        who = (order, ACCOUNT, "a", "ACME")
        intent = OrderIntended(self.now, *who, side, D(quantity), kind, price, None, "DAY", "why")
        approved = RiskApproved(self.now, order, 1, *who[1:], "none")
        self.take([intent, approved, OrderSendStarted(self.now, order, 1, *who[1:])])
        return intent

    def attempt(self, order="a-1-1", **given) -> OrderIntended:
        """Record an order with the attempt to send it."""
        intent = self.decide(order, **given)
        self.take(self.channel.out.attempts([Effect(1, intent)], self.now))
        return intent

    def send(self, order="a-1-1", **given) -> OrderIntended:
        """Record an order that was sent."""
        intent = self.attempt(order, **given)
        self.take([OrderSent(self.now, order, 1)])
        return intent

    def modify(self, order="a-1-1", version=2, quantity=100, limit="11", *, sent=True) -> None:
        """Record a change."""
        known = self.orders.get(order)
        who = (ACCOUNT, known.strategy, "ACME")
        change = ModifyIntended(self.now, order, version, *who, D(quantity), D(limit), None, "why")
        self.take([change])
        self.take(self.channel.out.attempts([Effect(1, change)], self.now))
        if sent:
            self.take([OrderSent(self.now, order, version)])

    def cash(self, amount) -> None:
        """Record a balance."""
        self.take([CashAdjusted(self.now, ACCOUNT, "USD", D(amount), "start")])

    def ref(self, order="a-1-1") -> str:
        return self.routes.attempt(order).ref

    # -- what the broker says ------------------------------------------------------------------

    def terms(self, order="a-1-1", perm=900, **given) -> OrderTerms:
        attempt = self.routes.attempt(order)
        known = self.orders.get(order)
        fields = {
            "side": known.side if known else "BUY",
            "quantity": known.quantity if known else D(100),
            "type": known.type if known else "LMT",
            "limit": known.limit if known else D(10),
            "account": ACCOUNT,
            "order_ref": attempt.ref if attempt else "",
            "order_id": attempt.broker_id if attempt else None,
            "client_id": CLIENT if attempt else 99,
            "perm_id": perm,
        }
        return OrderTerms(**{**fields, **given})

    def open(self, order="a-1-1", perm=900, status="Submitted", **given) -> OpenOrder:
        return OpenOrder(ACME, self.terms(order, perm, **given), OrderState(status=status))

    def completed(self, order="a-1-1", perm=900, status="Cancelled", filled=0, **given) -> CompletedOrder:
        terms = self.terms(order, perm, filled=None if filled is None else D(filled), **given)
        return CompletedOrder(ACME, terms, OrderState(status=status, completed_status="Cancelled by Trader"))

    def status(self, word="Submitted", order="a-1-1", perm=900) -> OrderStatus:
        order_id = self.routes.attempt(order).broker_id
        return OrderStatus(order_id, word, D(0), D(100), None, perm, None, None, CLIENT, "", None)

    def execution(
        self, exec_id="e1.01", quantity=100, price="10", order="a-1-1", perm=900, side="BOT", **given
    ) -> Execution:
        attempt = self.routes.attempt(order)
        fields = {
            "req_id": None,
            "order_id": attempt.broker_id if attempt else None,
            "contract": ACME,
            "exec_id": exec_id,
            "time": WHEN,
            "account": ACCOUNT,
            "exchange": "NYSE",
            "side": side,
            "quantity": D(quantity),
            "price": D(price),
            "perm_id": perm,
            "client_id": CLIENT if attempt else 99,
            "total_quantity": D(quantity),
            "average_price": D(price),
            "order_ref": attempt.ref if attempt else "",
        }
        return Execution(**{**fields, **given})

    def error(self, code, order="a-1-1", text="no") -> list:
        """Return the message, after recording what the link's part makes of it."""
        self.take([BrokerMessage(self.now, code, "warning", text, order)])
        return ErrorMessage(self.routes.attempt(order).broker_id, code, text, None, "")

    def compare(
        self, *shown, cash=None, patience_s=30.0, hear=True, balances=None, client=CLIENT
    ) -> list[Event]:
        """Let the broker show its book, and record what the comparison makes of it."""
        evidence = Evidence()
        if hear:
            self.hear(*(said for said in shown if not isinstance(said, Position | CompletedOrder)))
        keeper = Snapshot(ACCOUNT, 1, lambda: 1)
        keeper.evidence = evidence
        for currency, amount in (balances or {}).items():
            keeper.feed(AccountValue(ACCOUNT, "TotalCashBalance", str(amount), currency))
        for said in shown:
            keeper.feed(said)
        if cash is not None:
            keeper.feed(AccountValue(ACCOUNT, "TotalCashBalance", str(cash), "USD"))
        return self.take(
            reconcile("test", ACCOUNT, evidence, self.folds, client, self.now, patience_s=patience_s)
        )


def commission(exec_id="e1.01", amount="1") -> CommissionReport:
    return CommissionReport(exec_id, None if amount is None else D(amount), "USD", None)


def position(quantity, con_id=CON_ID) -> Position:
    contract = Contract(con_id=con_id, symbol="ACME", kind="STK")
    return Position(ACCOUNT, contract, D(quantity), D(10))


def outcomes(events):
    """Return what became of orders that were in doubt."""
    return [(e.order, e.outcome) for e in events if isinstance(e, OrderResolved)]


def breaks(events):
    """Return the kinds of breaks that were found."""
    return [e.kind for e in events if isinstance(e, BreakFound)]


def states(books):
    """Return the state of each order of a strategy."""
    return {o.id: o.state for o in books.orders.orders() if o.strategy}
