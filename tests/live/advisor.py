"""A login with a second account: what a gateway tells of it is put among what it tells of its own.

The other account holds shares of the same instrument, has an order by hand that nothing of ours cancels, and
an execution of its own. Like at the broker, positions and open orders of all accounts of a login are shown to
each client; its values (its base is the euro) and executions come as well, as to a client that hears of
all of them.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from adapters.ibkr.gateway import answers
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.order_fields import Shown, open_order
from tests.live.rig import ACCOUNT

OTHER = "DU2000002"
HELD, ORDERED = Decimal(700), Decimal(300)
PERM = 900_000_001
BALANCE = "7777777"


class Advisor:
    """Makes the gateway of `ib_gateway` one of a login with two accounts; our own comes second."""

    def __init__(self, gateway: Any, instrument: str = "ZVXA") -> None:
        self._session = gateway._server.session
        self._instrument = instrument
        connect = self._session.connect

        def join() -> Client:
            client: Client = connect()
            client.distortions.append(self._distort)
            return client

        self._session.connect = join

    def _distort(self, client: Client, name: str, fields: Sequence[Any]) -> list[Sequence[Any]] | None:
        if name == "managedAccounts":
            return [[15, 1, f"{OTHER},{ACCOUNT},"]]
        told = _TOLD.get(name)
        return None if told is None else [*told(self, client, fields), fields]

    @property
    def contract(self) -> Any:
        """The contract that both accounts trade."""
        return self._session.contracts.by_instrument[self._instrument]

    def _positions(self, _client: Client, _fields: Sequence[Any]) -> list[Sequence[Any]]:
        return [answers.position(OTHER, self.contract, HELD, Decimal(80))]

    def _orders(self, client: Client, _fields: Sequence[Any]) -> list[Sequence[Any]]:
        shown = Shown(
            order_id=0,
            client_id=0,
            perm_id=PERM,
            parent_id=0,
            parent_perm_id=0,
            account=OTHER,
            action="BUY",
            quantity=ORDERED,
            type="LMT",
            limit=Decimal("1"),
            aux=None,
            tif="GTC",
            oca_group="",
            oca_type=0,
            order_ref="",
            outside_rth=False,
            status="Submitted",
            filled=Decimal(0),
        )
        return [open_order(self.contract, shown, client.version)]

    def _values(self, _client: Client, _fields: Sequence[Any]) -> list[Sequence[Any]]:
        keys = ("NetLiquidation", "CashBalance", "TotalCashBalance", "BuyingPower")
        rates = (("EUR", "1"), ("USD", "0.9"))
        return [
            *([6, 2, key, BALANCE, "EUR", OTHER] for key in keys),
            *([6, 2, "ExchangeRate", rate, currency, OTHER] for currency, rate in rates),
        ]

    def _executions(self, client: Client, _fields: Sequence[Any]) -> list[Sequence[Any]]:
        told = answers.Execution(
            order_id=0,
            exec_id="00009999.aaaa.01.01",
            time="20250702 09:30:00 America/New_York",
            account=OTHER,
            exchange="VN",
            side="BOT",
            shares=HELD,
            price=Decimal(80),
            perm_id=PERM - 1,
            client_id=0,
            cumulative=HELD,
            average=80.0,
            order_ref="",
        )
        return [
            answers.execution(-1, self.contract, told, client.version),
            answers.commission(told.exec_id, "1", "USD", "0", "0"),
        ]


_TOLD = {
    "positionEnd": Advisor._positions,
    "openOrderEnd": Advisor._orders,
    "accountDownloadEnd": Advisor._values,
    "execDetailsEnd": Advisor._executions,
}
