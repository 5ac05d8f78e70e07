"""An account with cash in several currencies: its rates come from the broker, or nothing could be bought."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from core.events import Filled, FxRateReported, RiskRefused
from core.risk import Limits
from tests.live import broken
from tests.live.rig import ACCOUNT, Books, Rig

Start = Callable[..., tuple[Rig, Any]]
EURO = {"gateway": {"balances": ["EUR=5000@1.08"]}, "limits": Limits(max_position_size=0.5)}


def test_cash_in_another_currency_counts_at_the_brokers_rate(
    start: Start, books: Callable[[Any], Books]
) -> None:
    rig, gateway = start("", orders=2, **EURO)
    rig.run()
    assert [(e.base, e.quote, e.rate) for e in rig.events(FxRateReported)] == [
        ("EUR", "USD", Decimal("1.08"))
    ]
    assert rig.events(RiskRefused) == []
    assert len(rig.events(Filled)) == 2
    compared = books(gateway)
    assert compared.differences() == []
    ours, theirs = (world.account.equity(ACCOUNT, "USD") for world in (compared.ours, compared.theirs))
    assert ours == theirs
    assert ours is not None
    assert Decimal(105_000) < ours < Decimal(105_800)
    day = compared.ours.risk.day_pnl(ACCOUNT, "USD")
    assert day is not None
    assert abs(day) < 400  # what was there at first is no profit of the day


def test_a_client_that_does_not_listen_for_rates_can_buy_nothing(start: Start) -> None:
    rig, _ = start(
        "", orders=2, client=broken.knows_no_rates, until=lambda rig: rig.drill.wanted >= 2, **EURO
    )
    rig.run()
    assert {e.rule for e in rig.events(RiskRefused)} == {"equity"}
    assert rig.events(Filled) == []
