"""A login with several accounts: what is of another one is neither ours nor in the way of ours."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from core.errors import AccountRefused, ExitCode
from core.events import (
    AccountReported,
    BreakFound,
    CashAdjusted,
    ExternalOrderReported,
    Filled,
    FxRateReported,
    HaltRequested,
    HaltVerified,
    OrderIntended,
    PositionReported,
    RiskRefused,
)
from core.risk import Limits
from tests.live.advisor import OTHER, Advisor
from tests.live.rig import ACCOUNT, Rig

Start = Callable[..., tuple[Rig, Any]]


def joined(start: Start, **more: Any) -> tuple[Rig, Any]:
    rig, gateway = start("", **more)
    Advisor(gateway)
    return rig, gateway


def test_what_another_account_has_is_not_ours(start: Start, books: Callable[[Any], Any]) -> None:
    # Neither limit would leave room for a single order of ours if the other account counted.
    limits = Limits(max_open_orders=1, max_position_size=0.1)
    rig, gateway = joined(start, limits=limits)
    rig.run()
    assert not rig.timed_out
    assert rig.events(BreakFound) == []
    assert rig.events(RiskRefused) == []
    assert {e.account for e in rig.events(PositionReported, CashAdjusted)} <= {ACCOUNT}
    assert {e.account for e in rig.events(OrderIntended)} == {ACCOUNT}
    assert {e.account for e in rig.events(ExternalOrderReported)} == {OTHER}
    assert {e.account for e in rig.events(AccountReported)} == {ACCOUNT}
    assert rig.events(FxRateReported) == []  # all that ours has is dollars
    world = rig.session.world
    assert world.positions.position(ACCOUNT, "ZVXA").quantity == 0
    compared = books(gateway)
    assert compared._positions(compared.ours) == compared._positions(compared.theirs)
    assert compared._money(compared.ours) == compared._money(compared.theirs)


def test_orders_of_another_account_do_not_keep_ours_from_being_flattened(start: Start) -> None:
    asked: list[HaltRequested] = []

    def until(rig: Rig) -> bool:
        return bool(rig.session.link._looks and not rig.session.link._goal)

    rig, _ = joined(start, speed=600, until=until, orders=1)

    def command(now: int) -> list[HaltRequested]:
        if asked or not rig.session.world.positions.position(ACCOUNT, "ZVXA").quantity:
            return []
        asked.append(HaltRequested(now, "flatten", "enough", "command"))
        return asked

    rig.session._commands = command
    rig.run()
    assert not rig.timed_out
    assert [(e.level, e.working_orders, e.open_positions, e.reached) for e in rig.events(HaltVerified)] == [
        ("cancel_all", 0, 1, True),
        ("flatten", 0, 0, True),
    ]
    assert rig.session.world.positions.position(ACCOUNT, "ZVXA").quantity == 0
    assert [e.quantity for e in rig.events(Filled) if e.account == ACCOUNT] == [Decimal(100)] * 2


@pytest.mark.parametrize("account", ["DU3000003", ""])
def test_an_account_that_the_login_has_not_is_refused_and_those_it_has_are_named(
    start: Start, account: str
) -> None:
    rig, _ = joined(start, settings={"account": account})
    with pytest.raises(AccountRefused) as caught:
        rig.run()
    assert caught.value.exit_code == ExitCode.USAGE
    assert f"this login has {OTHER}, {ACCOUNT}" in str(caught.value)
