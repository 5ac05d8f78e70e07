"""Core and projections read no clock, no randomness, no environment, no file; floats meet no Decimals."""

from pathlib import Path

import pytest

from tests.core.lints import impurities, mixed_comparisons

ROOT = Path(__file__).resolve().parents[2]
PURE = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("projections/**/*.py")])
WITH_PRICES = sorted([*PURE, *ROOT.glob("adapters/**/*.py"), *ROOT.glob("app/**/*.py")])


def named(paths):
    return [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in paths]


def test_there_is_something_to_look_at():
    assert len(PURE) > 20


@pytest.mark.parametrize("path", named(PURE))
def test_a_module_of_the_core_is_pure(path):
    assert impurities(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", named(WITH_PRICES))
def test_a_float_is_never_compared_with_a_decimal(path):
    assert mixed_comparisons(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from time import time_ns",
        "import random",
        "import numpy, random",
        "from uuid import uuid4",
        "import os",
        "from os import environ",
        "import threading",
        "import concurrent.futures; from threading import Lock",
        "import pandas as pd",
        "from pyarrow import parquet",
        "import duckdb",
        "from ibapi.client import EClient",
        "from pathlib import Path",
        "import pathlib",
        "from io import BytesIO",
        "def f(): return open('x')",
        "from datetime import datetime; t = datetime.now()",
        "from datetime import datetime as d; t = d.utcnow()",
        "import datetime; t = datetime.datetime.now(datetime.UTC)",
        "from datetime import date; d = date.today()",
        "def f(x): return hash(x)",
        "def f(x): return id(x)",
    ],
)
def test_the_lint_catches_what_is_impure(line):
    assert impurities(line)


@pytest.mark.parametrize(
    "line",
    [
        "from datetime import UTC, datetime, timedelta",
        "from pathlib import PurePath",
        "class A:\n    @property\n    def now(self): return self.desk.now",
        "order.id",
        "from heapq import heappush",
        "opened = seat.open(is_open=True)",
    ],
)
def test_the_lint_lets_pure_code_pass(line):
    assert impurities(line) == []


@pytest.mark.parametrize(
    "body",
    [
        "def f(low: float, limit: Decimal): return low <= limit",
        "def f(bar, limit: Decimal | None): return bar.low < limit",
        "def f(order, at): return float(at) >= order.quantity",
        "def f(x: Decimal): return x > 0.5",
        "def f(quotes, name):\n    best = quotes.ask(name)\n    at = money(name)\n    return best <= at",
        "def f(x: float): return -x == ZERO",
    ],
)
def test_the_lint_catches_a_float_that_meets_a_decimal(body):
    assert mixed_comparisons(body)


@pytest.mark.parametrize(
    "body",
    [
        "def f(low: float, limit: Decimal): return low <= float(limit)",
        "def f(x: Decimal): return x > 0",
        "def f(bar, limit: float): return bar.low < limit",
    ],
)
def test_the_lint_lets_converted_prices_pass(body):
    assert mixed_comparisons(body) == []
