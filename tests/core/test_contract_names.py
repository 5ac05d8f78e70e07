"""What the names of contracts say."""

import pytest

from core.contract_names import read_name


@pytest.mark.parametrize("name", ["ES-٢٠٢٦١٢", "AAPL-٢٠٢٦١٢١٨-C-250", "AAPL-20261218-C-٢٥٠", "ES-²⁰²⁶¹²"])
def test_digits_of_another_script_name_no_contract(name):
    assert read_name(name) is None


def test_the_digits_of_a_contract_are_those_of_ascii():
    assert read_name("ES-202612").expiry == "202612"
    assert str(read_name("AAPL-20261218-C-250").strike) == "250"
