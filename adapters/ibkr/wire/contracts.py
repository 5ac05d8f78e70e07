"""Contracts between our terms and the broker's: instruments out, contracts and their details in.

Pure: `ibapi` objects come as arguments and are filled or read by attribute, so nothing is imported.
It must never guess a contract: what is not known stays empty, and the broker asks back.
"""

from decimal import Decimal
from typing import Any

from adapters.ibkr.wire.messages import ContractDetails
from adapters.ibkr.wire.terms import Contract
from adapters.ibkr.wire.values import amount, identity
from core.events import InstrumentDefined
from core.money import divide, money, plain

EXCHANGES = {
    "XNYS": "NYSE",
    "XNAS": "NASDAQ",
    "ARCX": "ARCA",
    "XASE": "AMEX",
    "BATS": "BATS",
    "IEXG": "IEX",
    "XCME": "CME",
    "CMES": "CME",
    "XCBT": "CBOT",
    "XNYM": "NYMEX",
    "XCEC": "COMEX",
    "XCBF": "CFE",
    "XTSE": "TSE",
    "XLON": "LSE",
    "XETR": "IBIS",
    "XEUR": "EUREX",
    "XAMS": "AEB",
    "XPAR": "SBF",
    "XHKG": "SEHK",
    "XTKS": "TSEJ",
    "XASX": "ASX",
}
"""The broker's names of exchanges by ISO code; others are passed on as they are."""
ISO_CODES = {name: code for code, name in reversed(EXCHANGES.items())}
_ROUTED = frozenset({"STK", "OPT"})
"""Kinds that go to the broker's router, with the listing exchange beside it."""
_TEXTS = {
    "symbol": "symbol",
    "kind": "secType",
    "expiry": "lastTradeDateOrContractMonth",
    "right": "right",
    "multiplier": "multiplier",
    "exchange": "exchange",
    "primary_exchange": "primaryExchange",
    "currency": "currency",
    "local_symbol": "localSymbol",
    "trading_class": "tradingClass",
}


def contract_of(instrument: InstrumentDefined) -> Contract:
    """Return the contract to ask for or to trade: exact by `con_id` if it is known."""
    listed = EXCHANGES.get(instrument.exchange, instrument.exchange)
    routed, known = instrument.kind in _ROUTED, instrument.con_id is not None
    return Contract(
        con_id=instrument.con_id,
        symbol=instrument.symbol,
        kind=instrument.kind,
        expiry=(instrument.expiry or "").replace("-", ""),
        strike=instrument.strike,
        right=(instrument.right or "")[:1],
        # With the id nothing else is needed, and what the broker calls multiplier may be another number.
        multiplier="" if known or instrument.multiplier == 1 else plain(instrument.multiplier),
        exchange="SMART" if routed else listed,
        primary_exchange=listed if instrument.kind == "STK" else "",
        currency=instrument.currency,
    )


def instrument_of(details: ContractDetails, ts: int) -> InstrumentDefined:
    """Return the definition of the instrument that the broker describes, under its readable id.

    Some prices are quoted in hundredths: grain in cents a bushel, 5,000 bushels a contract. Its multiplier is
    what a price has to be multiplied by: the broker's, divided by its magnifier (50).
    """
    contract = details.contract
    listed = contract.primary_exchange or contract.exchange
    expiry = contract.expiry.partition(" ")[0]
    dated = f"{expiry[:4]}-{expiry[4:6]}-{expiry[6:8]}" if len(expiry) == 8 else expiry
    return InstrumentDefined(
        ts,
        instrument=readable_id(contract),
        symbol=contract.symbol,
        kind=contract.kind,
        exchange=ISO_CODES.get(listed, listed),
        currency=contract.currency,
        multiplier=divide(money(contract.multiplier or 1), money(max(details.price_magnifier, 1))),
        tick_size=details.tick_size or Decimal(0),
        timezone=details.timezone,
        con_id=contract.con_id,
        expiry=dated or None,
        strike=contract.strike,
        right=contract.right or None,
        description=details.long_name,
    )


def readable_id(contract: Contract) -> str:
    """Return `SPY`, `ES-202612`, `AAPL-20261218-C-250`, `EUR-USD`."""
    match contract.kind:
        case "FUT":
            return f"{contract.symbol}-{contract.expiry[:6]}"
        case "OPT" | "FOP":
            strike = plain(contract.strike or Decimal(0))
            return f"{contract.symbol}-{contract.expiry[:8]}-{contract.right[:1]}-{strike}"
        case "CASH":
            return f"{contract.symbol}-{contract.currency}"
    return contract.symbol


def read_contract(said: Any) -> Contract:
    """Return what an `ibapi` contract says."""
    return Contract(
        con_id=identity(said.conId),
        strike=amount(said.strike) or None,
        legs=said.comboLegsDescrip or "",
        **{ours: getattr(said, theirs) or "" for ours, theirs in _TEXTS.items()},
    )


def fill_contract(contract: Contract, blank: Any) -> Any:
    """Write our contract into a blank `ibapi` contract and return it."""
    blank.conId = contract.con_id or 0
    if contract.strike is not None:
        blank.strike = float(contract.strike)
    for ours, theirs in _TEXTS.items():
        setattr(blank, theirs, getattr(contract, ours))
    return blank
