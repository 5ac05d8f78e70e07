"""Random histories of a small account: two strategies, a share and a future, everything a broker may report.

The entries of a history keep their seq, so that a test may deliver them in another order or twice.
"""

from hypothesis import strategies as st

from core.events import (
    AccountMarked,
    CashAdjusted,
    CommissionReported,
    Entry,
    FillCorrected,
    Filled,
    FxRateReported,
    OrderIntended,
    OrderStatusChanged,
    PositionAdjusted,
    Quote,
    SessionScheduled,
    Trade,
)
from projections.account import Account
from projections.base import Projection
from projections.lineage import Lineage
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from projections.risk import Risk
from projections.sessions import Sessions
from tests.projections.build import ACCOUNT, D, future, stock

INSTRUMENTS = ("ACME", "IDX-202509")
STRATEGIES = ("a", "b")
ORDERS = tuple(f"{STRATEGIES[n % 2]}-1-{n}" for n in range(4))

quantities = st.integers(1, 5).map(lambda n: D(n) * 10)
# Prices whose averages do not divide evenly, so that rounding has something to get wrong.
prices = st.sampled_from(["10", "10.01", "11.37", "9.99", "12.5"]).map(D)
times = st.integers(1, 9)
sides = st.sampled_from(("BUY", "SELL"))
picks = st.integers(0, len(ORDERS) - 1)


@st.composite
def executions(draw):
    """One execution with its corrections, commissions and whatever statuses came with it."""
    exec_id = f"F-{draw(st.integers(1, 6))}"
    which, instrument = draw(picks), draw(st.sampled_from(INSTRUMENTS))
    who = (ORDERS[which], ACCOUNT, STRATEGIES[which % 2], instrument)
    side, ts = draw(sides), draw(times)
    facts = [Filled(ts, exec_id, *who, side, draw(quantities), draw(prices))]
    facts += [
        FillCorrected(ts, exec_id, revision, *who, side, draw(quantities | st.just(D(0))), draw(prices))
        for revision in range(1, draw(st.integers(1, 3)))
    ]
    facts += [
        CommissionReported(draw(times), exec_id, *who, amount, "USD")
        for amount in draw(st.lists(st.sampled_from([D("0.35"), D(1), D("1.5")]), max_size=2))
    ]
    words = draw(st.lists(st.sampled_from(("Submitted", "Filled", "Cancelled", "Rejected")), max_size=1))
    return facts + [OrderStatusChanged(ts, who[0], 1, *who[1:], word) for word in words]


@st.composite
def facts(draw):
    """The broker's reports, each execution's own in order, with an operator's adjustment now and then."""
    found = {group[0].exec_id: group for group in draw(st.lists(executions(), min_size=1, max_size=6))}
    reports = [fact for group in found.values() for fact in group]
    adjusted = draw(st.lists(st.sampled_from(STRATEGIES), max_size=1))
    reports += [
        PositionAdjusted(draw(times), ACCOUNT, strategy, "ACME", draw(quantities), draw(prices), "x")
        for strategy in adjusted
    ]
    return reports


def opening() -> list:
    """What every history starts with: definitions, cash, intents, prices."""
    return [
        stock(),
        future(multiplier="5"),
        SessionScheduled(0, "NYSE", "d1", "America/New_York", 0, 0, 50, 50),
        CashAdjusted(0, ACCOUNT, "USD", D(100_000), "start"),
        CashAdjusted(0, ACCOUNT, "EUR", D(100), "start"),
        FxRateReported(0, "EUR", "USD", D("1.1")),
        AccountMarked(0, ACCOUNT, "USD", D(100_110), D(100_000)),
        *(
            OrderIntended(
                1, order, ACCOUNT, STRATEGIES[n % 2], "ACME", "BUY", D(40), "MKT", None, None, "DAY", "x"
            )
            for n, order in enumerate(ORDERS)
        ),
        Quote(1, "tick", "ACME", 10.0, 1.0, 10.5, 2.0, "A"),
        Quote(1, "tick", "ACME", 10.0, 3.0, None, None, "B"),
        Trade(1, "tick", "ACME", 10.25, 1.0, "A"),
        Trade(1, "tick", "IDX-202509", 11.0, 1.0),
    ]


def history(reports) -> list[Entry]:
    """Number the opening and the reports; seqs are ten apart, to leave room for duplicates."""
    events = [*opening(), *reports]
    return [Entry(10 * n, None, 10 * n, None, event) for n, event in enumerate(events, 1)]


def projections(positions=Positions, account=Account, orders=Orders) -> list[Projection]:
    """Return one of each projection, wired; a test may swap in a broken one."""
    quotes, held = Quotes(), positions()
    cash = account(quotes, held)
    return [quotes, held, cash, orders(), Sessions(), Risk(held, cash, "NYSE"), Lineage()]


def folded(entries, **kinds) -> list[Projection]:
    """Fold entries one by one into fresh projections."""
    made = projections(**kinds)
    for projection in made:
        for entry in entries:
            projection.apply(entry)
    return made


def digests(made: list[Projection], *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the digest of each projection by name."""
    return {projection.name: projection.digest() for projection in made if projection.name not in but}
