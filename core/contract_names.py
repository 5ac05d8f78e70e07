"""Readable names of contracts that end: what `ES-202612` and `AAPL-20261218-C-250` say. Pure."""

import re
from decimal import Decimal
from typing import NamedTuple

OPTION = re.compile(r"(?P<symbol>.+)-(?P<expiry>\d{8})-(?P<right>[CP])-(?P<strike>\d+(\.\d+)?)", re.ASCII)
FUTURE = re.compile(r"(?P<symbol>.+)-(?P<expiry>\d{6}|\d{8})", re.ASCII)


class ContractName(NamedTuple):
    """What a name says: `expiry` is `YYYYMMDD`, or `YYYYMM` where it names the month alone."""

    kind: str
    symbol: str
    expiry: str
    right: str | None = None
    strike: Decimal | None = None


def read_name(name: str) -> ContractName | None:
    """Return what the name of an option or a future says; `None` for other names."""
    if found := OPTION.fullmatch(name):
        return ContractName("OPT", found["symbol"], found["expiry"], found["right"], Decimal(found["strike"]))
    if found := FUTURE.fullmatch(name):
        return ContractName("FUT", found["symbol"], found["expiry"])
    return None
