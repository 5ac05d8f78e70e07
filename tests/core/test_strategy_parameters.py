"""Parameters of strategies: converted from text, every problem named; what follows from them."""

import re
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


class Several(Parameters, frozen=True):
    names: list[str]
    days: tuple[int, ...] | None = None
    either: str | list[str] = ""


class Watching(Strategy[Several]):
    pass


@pytest.mark.parametrize("text", ["A,B", "A, B", '["A", "B"]'])
def test_a_list_may_be_given_as_text_and_text_stays_where_text_will_do(text):
    found = parameters(
        FoundStrategy("watching", Watching, "test", ""), {"names": text, "days": "1,2", "either": "A,B"}
    )
    assert found == Several(names=["A", "B"], days=(1, 2), either="A,B")


@pytest.mark.parametrize(("names", "said"), [('["A"', 'names=["A"'), ("[1]", "expected str, got int")])
def test_a_list_that_is_none_is_refused(names, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        parameters(FoundStrategy("watching", Watching, "test", ""), {"names": names})


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
