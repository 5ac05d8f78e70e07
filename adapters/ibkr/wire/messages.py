"""What the broker says, one frozen struct a message; no type of `ibapi` gets out of the codec.

Values are as said, except that unset ones are `None`. `req_id` is `None` where the broker gives none.
Times are as said too: text where it sends text, otherwise with their unit in the name. A bid of −1 or a
size of 0 is kept: what it means is for market data to decide. The messages of ticks are in `ticks.py`.
"""

from decimal import Decimal

import msgspec

from adapters.ibkr.wire.terms import Contract, OrderState, OrderTerms


class Message(msgspec.Struct, frozen=True, gc=False):
    """Base of all messages."""


class NextValidId(Message, frozen=True, gc=False):
    """The lowest order id that the broker would take now; it may be lower than ids already used."""

    order_id: int


class ManagedAccounts(Message, frozen=True, gc=False):
    """The accounts of this login."""

    accounts: tuple[str, ...]


class ErrorMessage(Message, frozen=True, gc=False):
    """An error, a warning or a notice: an annotation, never by itself the end of an order.

    `req_id` is the request or order that it speaks of.
    """

    req_id: int | None
    code: int
    text: str
    time_ms: int | None
    advanced: str


class CurrentTime(Message, frozen=True, gc=False):
    """The server's clock, ms UTC; full seconds if the request was for seconds."""

    time_ms: int


class OpenOrder(Message, frozen=True, gc=False):
    """An order that is working, or the answer to a what-if order."""

    contract: Contract
    terms: OrderTerms
    state: OrderState


class OpenOrdersEnd(Message, frozen=True, gc=False):
    """All open orders have been told."""


class CompletedOrder(Message, frozen=True, gc=False):
    """An order of today that is over. It comes without order id and client id."""

    contract: Contract
    terms: OrderTerms
    state: OrderState


class CompletedOrdersEnd(Message, frozen=True, gc=False):
    """All completed orders have been told."""


class OrderStatus(Message, frozen=True, gc=False):
    """Where an order stands. Advisory: it may be missing, repeated, or come before the fills."""

    order_id: int | None
    status: str
    filled: Decimal | None
    remaining: Decimal | None
    average_price: Decimal | None
    perm_id: int | None
    parent_id: int | None
    last_price: Decimal | None
    client_id: int | None
    why_held: str
    price_cap: Decimal | None


class OrderBound(Message, frozen=True, gc=False):
    """An order of another client or of the window was bound to an API order id."""

    perm_id: int | None
    client_id: int | None
    order_id: int | None


class Execution(Message, frozen=True, gc=False, kw_only=True):
    """A fill. `exec_id` is its identity; its last group of digits is the revision."""

    req_id: int | None
    order_id: int | None
    contract: Contract
    exec_id: str
    time: str
    account: str
    exchange: str
    side: str
    quantity: Decimal | None
    price: Decimal | None
    perm_id: int | None
    client_id: int | None
    total_quantity: Decimal | None
    average_price: Decimal | None
    order_ref: str = ""
    liquidation: bool = False
    last_liquidity: int | None = None
    pending_price_revision: bool = False
    submitter: str = ""


class ExecutionsEnd(Message, frozen=True, gc=False):
    """All executions of a request have been told."""

    req_id: int | None


class CommissionReport(Message, frozen=True, gc=False):
    """What a fill cost. `amount` is `None` while unknown, which is not 0."""

    exec_id: str
    amount: Decimal | None
    currency: str
    realised: Decimal | None


class Position(Message, frozen=True, gc=False):
    """A position as the broker counts it; `average_cost` includes the multiplier."""

    account: str
    contract: Contract
    quantity: Decimal | None
    average_cost: Decimal | None


class PositionsEnd(Message, frozen=True, gc=False):
    """All positions have been told."""


class AccountValue(Message, frozen=True, gc=False):
    """One value of an account, as text."""

    account: str
    key: str
    value: str
    currency: str


class PortfolioValue(Message, frozen=True, gc=False):
    """A position with the broker's own marks."""

    account: str
    contract: Contract
    quantity: Decimal | None
    price: Decimal | None
    value: Decimal | None
    average_cost: Decimal | None
    unrealised: Decimal | None
    realised: Decimal | None


class AccountTime(Message, frozen=True, gc=False):
    """When the account values were last computed, as `HH:MM` of the server."""

    text: str


class AccountDownloadEnd(Message, frozen=True, gc=False):
    """All values and positions of the account have been told once."""

    account: str


class AccountSummary(Message, frozen=True, gc=False):
    """One value of an account, asked for by tag."""

    req_id: int | None
    account: str
    tag: str
    value: str
    currency: str


class AccountSummaryEnd(Message, frozen=True, gc=False):
    """All values of a summary have been told once."""

    req_id: int | None


class PnL(Message, frozen=True, gc=False):
    """Profit and loss of an account as the broker computes it."""

    req_id: int | None
    day: Decimal | None
    unrealised: Decimal | None
    realised: Decimal | None


class ContractDetails(Message, frozen=True, gc=False, kw_only=True):
    """A contract that matches a request. `hours` and `liquid_hours` are in `timezone`."""

    req_id: int | None
    contract: Contract
    tick_size: Decimal | None
    price_magnifier: int
    long_name: str
    order_types: str
    exchanges: str
    timezone: str
    hours: str
    liquid_hours: str
    contract_month: str = ""
    last_trade_date: str = ""
    underlying_con_id: int | None = None
    underlying_symbol: str = ""
    market_rules: str = ""
    stock_type: str = ""
    category: str = ""
    size_min: Decimal | None = None
    size_increment: Decimal | None = None
    ids: tuple[tuple[str, str], ...] = ()


class ContractDetailsEnd(Message, frozen=True, gc=False):
    """All contracts that match have been told."""

    req_id: int | None


class MarketRule(Message, frozen=True, gc=False):
    """The steps of prices: from which price on each holds, and the step."""

    rule: int
    steps: tuple[tuple[Decimal, Decimal], ...]


class SymbolSample(msgspec.Struct, frozen=True, gc=False):
    """A contract whose name resembles what was asked, and the kinds of derivatives on it."""

    contract: Contract
    description: str
    derivatives: tuple[str, ...]


class SymbolSamples(Message, frozen=True, gc=False):
    """The contracts that resemble what was asked."""

    req_id: int | None
    samples: tuple[SymbolSample, ...]


class HistoricalBar(msgspec.Struct, frozen=True, gc=False):
    """A bar. `time` is its start: epoch seconds as asked for, a date for daily bars. −1 means none."""

    time: str
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    average: float | None
    count: int | None


class HistoricalBars(Message, frozen=True, gc=False):
    """Bars of one answer, in order; an answer without bars is its end alone."""

    req_id: int | None
    bars: tuple[HistoricalBar, ...]


class HistoricalEnd(Message, frozen=True, gc=False):
    """All bars of a request have been told; the range is as the broker understood it."""

    req_id: int | None
    start: str
    end: str


class HistoricalUpdate(Message, frozen=True, gc=False):
    """The newest bar of a request that is kept up to date."""

    req_id: int | None
    bar: HistoricalBar


class Untranslated(Message, frozen=True, gc=False):
    """A message that is well-formed, of a kind nobody here uses; `name` is `ibapi`'s callback."""

    name: str
    message_id: int
    raw: bytes


class BadFrame(Message, frozen=True, gc=False):
    """A frame that could not be decoded. It counts for nothing, and the stream goes on."""

    message_id: int | None
    raw: bytes
    reason: str
