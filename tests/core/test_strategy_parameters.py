"""Parameters of strategies: converted from text, every problem named; what follows from them."""

from typing import Annotated

import pytest
from msgspec import Meta

from app.plugins.discovery import FoundStrategy
from app.plugins.parameters import parameters
from core.errors import UsageError
from core.strategy import Parameters, Strategy, Subscription


class Tuned(Parameters, frozen=True):
    instrument: str
    fast: Annotated[int, Meta(ge=1)] = 5
    ratio: Annotated[float, Meta(gt=0, lt=1)] = 0.5


class Tunable(Strategy[Tuned]):
    pass


FOUND = FoundStrategy("tunable", Tunable, "test", "")


def test_parameters_are_converted_from_text():
    assert parameters(FOUND, {"instrument": "ACME", "fast": "7"}) == Tuned(instrument="ACME", fast=7)
    assert Tunable.parameters is Tuned


def test_every_problem_with_parameters_is_named_at_once():
    with pytest.raises(UsageError) as caught:
        parameters(FOUND, {"fast": "0", "ratio": "2", "fats": "3"})
    text = str(caught.value)
    assert len(text.splitlines()) == 4
    for part in (
        "no parameter 'fats'; did you mean 'fast'?",
        "needs a value for 'instrument'",
        "fast=0",
        "ratio=2",
    ):
        assert part in text


class Hourly(Parameters, frozen=True):
    instrument: str
    resolution: str


def test_a_subscription_defaults_to_the_instrument_parameter():
    assert Tunable(Tuned(instrument="ACME")).subscriptions() == [Subscription("ACME")]
    assert Strategy(Parameters()).subscriptions() == []
    hourly = Hourly(instrument="ACME", resolution="1h")
    assert Strategy(hourly).subscriptions() == [Subscription("ACME", resolution="1h")]


@pytest.mark.parametrize("name", ["fast", "ratio"])
def test_a_truth_is_no_number(name):
    with pytest.raises(UsageError, match=f"{name}=True: expected .* got bool"):
        parameters(FOUND, {"instrument": "ACME", name: True})
