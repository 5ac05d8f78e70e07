"""What the broker uses for "unset" becomes `None`, in every form, and never 0."""

from decimal import Decimal

import pytest

from adapters.ibkr.wire.values import amount, identity, integer, number, size, tick_number, tick_size
from core.errors import InvalidEvent

E308 = 1.7976931348623157e308


@pytest.mark.parametrize(
    "unset",
    [
        None,
        "",
        E308,
        str(E308),
        "1.7976931348623157E308",
        float("nan"),
        float("inf"),
        "Infinity",
        2**31 - 1,
        2**63 - 1,
        Decimal(2**127 - 1),
        Decimal("NaN"),
        Decimal("-Infinity"),
    ],
)
def test_an_unset_amount_is_none(unset):
    assert amount(unset) is None


@pytest.mark.parametrize(
    ("said", "exact"),
    [
        (144.78, "144.78"),
        ("144.780", "144.78"),
        (Decimal("100.00"), "100"),
        (0.0, "0"),
        (-1.0, "-1"),
        (0.1, "0.1"),
    ],
)
def test_an_amount_is_exact_and_canonical(said, exact):
    assert str(amount(said)) == exact


def test_an_amount_beyond_all_money_is_an_error_not_unset():
    with pytest.raises(InvalidEvent):
        amount("1e40")


@pytest.mark.parametrize("unset", [None, E308, -E308, float("nan"), float("inf")])
def test_an_unset_price_is_none(unset):
    assert number(unset) is None


@pytest.mark.parametrize("unset", [Decimal(2**127 - 1), Decimal(2**63 - 1), E308])
def test_an_unset_size_is_none(unset):
    assert size(unset) is None


def test_minus_one_and_zero_are_kept():
    assert (number(-1.0), size(Decimal(0)), tick_number(b"-1"), tick_size(b"0")) == (-1.0, 0.0, -1.0, 0.0)


@pytest.mark.parametrize("unset", [b"", b"1.7976931348623157E308", b"Infinity", b"nan"])
def test_an_unset_field_of_a_tick_is_none(unset):
    assert tick_number(unset) is None
    assert tick_size(unset) is None


@pytest.mark.parametrize("unset", [None, 2**31 - 1, 2**63 - 1, -(2**63)])
def test_an_unset_integer_is_none(unset):
    assert integer(unset) is None


def test_a_zero_is_a_number_but_no_identity():
    assert integer(0) == 0
    assert identity(0) is None
    assert identity(7) == 7
