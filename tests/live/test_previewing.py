"""A preview asked of a real gateway: figures, refusals, and nothing ordered."""

from decimal import Decimal

import msgspec
import pytest

from adapters.ibkr.data.inquiry import Place
from app.look.books import open_log
from app.operation.previewing import PreviewRequest, run_preview
from cli import main
from core.errors import RequestRefused, UsageError
from core.events import OrderIntended
from core.ports import entries_of

BUY = PreviewRequest(symbol="ZVXA", side="BUY", quantity=Decimal(100), limit=Decimal(100))


def orders(book):
    return list(entries_of(open_log(book), frozenset({OrderIntended})))


def test_a_preview_has_the_broker_s_figures_and_orders_nothing(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open")
    told = run_preview(log, Place(port=gateway.port, client_id=51), BUY)
    gateway.stop()
    assert (told["instrument"], told["account"], told["commission"]) == ("ZVXA", gateway.account, "1")
    assert Decimal(told["initial_change"]) > 0
    assert Decimal(told["initial_after"]) == Decimal(told["initial_before"]) + Decimal(told["initial_change"])
    assert orders(gateway.book) == []


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"limit": Decimal("100.001")}, RequestRefused, "would refuse this order"),
        ({"quantity": Decimal(0)}, UsageError, "expected a number above 0"),
        ({"stop": Decimal(1)}, UsageError, "not both"),
        ({"account": "DU9"}, UsageError, "this login has DU1000001"),
        ({"symbol": "NOSUCH"}, UsageError, "NOSUCH"),
    ],
)
def test_what_cannot_be_computed_is_refused_with_the_reason(ib_gateway, log, changes, error, text):
    gateway = ib_gateway(speed="step", start="open")
    with pytest.raises(error, match=text):
        run_preview(log, Place(port=gateway.port, client_id=51), msgspec.structs.replace(BUY, **changes))


def test_the_verb_prints_the_figures(ib_gateway, log, capsys):
    gateway = ib_gateway(speed="step", start="open")
    command = ["--log", str(log), "preview", "ZVXA", "sell", "10", "--port", str(gateway.port), "--json"]
    assert main(command) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert (told["commission_currency"], told["warning"]) == ("USD", "")
