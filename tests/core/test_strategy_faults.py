"""A strategy that raises or asks without end: named with its place, and nobody else is blamed."""

import decimal
from decimal import Decimal

import pytest

from core.desk import MAX_REQUESTS_A_STEP
from core.errors import StrategyRaised
from core.events import (
    OrderIntended,
    SessionEnded,
    StrategyFailed,
)
from tests.core.bench import (
    ACCOUNT,
    OPEN,
    Bench,
    S,
    Script,
    ticks,
    trade,
)

D = Decimal


def fail(strategy):
    raise ZeroDivisionError("by me")


def test_a_handler_that_raises_is_named_with_file_line_and_input():
    bench = Bench(Script({2: fail}))
    with pytest.raises(StrategyRaised) as caught:
        bench.run(ticks(3))
    (failed,) = bench.recorded(StrategyFailed)
    assert (failed.strategy, failed.handler, failed.input_seq, failed.ts) == ("s", "on_trade", 2, OPEN + S)
    assert (failed.input_type, failed.error) == ("trade", "ZeroDivisionError: by me")
    # The innermost line of the handler's own file: here the bench's Script.
    assert failed.file == "bench.py"
    assert f"raised in on_trade at bench.py:{failed.line} while processing trade 2" in str(caught.value)
    assert bench.recorded(SessionEnded)[-1].reason == "failed"
    assert caught.value.exit_code == 8


@pytest.mark.parametrize("handler", ["on_start", "on_fill", "on_order", "on_timer", "on_stop"])
def test_any_handler_that_raises_is_the_strategys_failure(handler):
    class Failing(Script):
        pass

    def explode(self, *args):
        raise RuntimeError("as it happens")

    explode.__code__ = explode.__code__.replace(co_name=handler)
    setattr(Failing, handler, explode)
    strategy = Failing({1: lambda s: (s.buy("ACME", 1, reason="r"), s.set_timer("t", after_s=1))})
    bench = Bench(strategy)
    with pytest.raises(StrategyRaised, match=f"raised in {handler} at test_strategy_faults.py"):
        bench.run(ticks(3))
    assert bench.recorded(StrategyFailed)[-1].handler == handler
    assert bench.tape.committed == len(bench.tape.entries)


def test_a_fault_that_is_not_the_strategys_is_not_blamed_on_it():
    bench = Bench(Script({1: lambda s: s.buy("ACME", 1, reason="r")}))
    bench.broker.accept = lambda effects, ts: 1 / 0
    with pytest.raises(ZeroDivisionError):
        bench.run(ticks(2))
    assert bench.recorded(StrategyFailed) == []


def test_a_step_takes_a_bounded_number_of_requests():
    def flood(s):
        for _ in range(MAX_REQUESTS_A_STEP + 1):
            s.buy("ACME", 1, limit=1, reason="r")

    bench = Bench(Script({1: flood}))
    with pytest.raises(StrategyRaised, match=f"more than {MAX_REQUESTS_A_STEP} requests"):
        bench.run(ticks(1))
    assert bench.recorded(OrderIntended) == []  # nothing of a handler that did not end
    assert [failed.handler for failed in bench.recorded(StrategyFailed)] == ["on_trade"]


def test_answering_each_refusal_with_another_order_ends():
    class Stubborn(Script):
        def on_order(self, order):
            self.buy("ACME", 0, reason="again")

    bench = Bench(Stubborn({1: lambda s: s.buy("ACME", 0, reason="first")}))
    with pytest.raises(StrategyRaised, match="more than"):
        bench.run(ticks(1))


def test_a_decimal_context_set_by_a_strategys_file_does_not_reach_the_books():
    bench = Bench(
        Script({1: lambda s: s.buy("ACME", 12345, reason="r")}), commission="ibkr_fixed", cash="9999999"
    )
    with decimal.localcontext(decimal.Context(prec=3)):
        bench.run([trade(OPEN, 144.78172417), trade(OPEN + S, 144.78172417)])
    assert bench.world.positions.quantity("ACME") == 12345
    paid = 12345 * D("144.78172417") + bench.world.account.commissions(ACCOUNT, "USD")
    assert bench.world.account.cash(ACCOUNT, "USD") == 9_999_999 - paid
