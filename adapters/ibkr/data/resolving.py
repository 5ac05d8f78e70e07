"""Names to contracts: what to ask the broker for a readable id, and which of its answers is meant. Pure.

`SPY` is a share, `EUR-USD` a currency pair, `ES-202612` a future, `AAPL-20261218-C-250` an option; `@` and an
exchange of the broker narrow it down: `ES-202612@CME`. It must never guess: no answer, an expired contract or
several of them are named, with what to do.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from adapters.ibkr.wire.contracts import EXCHANGES, contract_of, instrument_of
from adapters.ibkr.wire.messages import ContractDetails
from adapters.ibkr.wire.terms import Contract
from core.clock import SECOND_NS
from core.contract_names import FUTURE, OPTION
from core.events import InstrumentDefined
from core.money import plain

_PAIR = re.compile(r"(?P<symbol>[A-Z]{3})-(?P<currency>[A-Z]{3})")
_SHOWN_MAX = 5


class Unresolved(msgspec.Struct, frozen=True):
    """Why a name leads to no contract: `unknown`, `ambiguous`, `expired` or `differs`, and what to do."""

    name: str
    kind: str
    text: str


def name_of(text: str) -> str:
    """Return the instrument's id of what a user wrote: without the exchange."""
    return text.partition("@")[0]


def asked_for(text: str) -> Contract:
    """Return what to ask the broker for, given what a user wrote."""
    name, _, exchange = text.partition("@")
    exchange = EXCHANGES.get(exchange, exchange)
    if found := OPTION.fullmatch(name):
        strike = Decimal(found["strike"])
        return _blank(
            found["symbol"],
            "OPT",
            exchange or "SMART",
            expiry=found["expiry"],
            right=found["right"],
            strike=strike,
        )
    if found := FUTURE.fullmatch(name):
        return _blank(found["symbol"], "FUT", exchange, expiry=found["expiry"], currency="")
    if found := _PAIR.fullmatch(name):
        return _blank(found["symbol"], "CASH", exchange or "IDEALPRO", currency=found["currency"])
    return _blank(name, "STK", "SMART", primary=exchange)


def _blank(
    symbol: str,
    kind: str,
    exchange: str,
    *,
    expiry: str = "",
    right: str = "",
    strike: Decimal | None = None,
    primary: str = "",
    currency: str = "USD",
) -> Contract:
    return Contract(
        con_id=None,
        symbol=symbol,
        kind=kind,
        expiry=expiry,
        strike=strike,
        right=right,
        multiplier="",
        exchange=exchange,
        primary_exchange=primary,
        currency=currency,
    )


def chosen(name: str, answers: Sequence[ContractDetails], ts: int) -> InstrumentDefined | Unresolved:
    """Return the one contract that the broker's answers mean, under `name`; or why there is none."""
    by_id = {answer.contract.con_id: answer for answer in answers}
    if not by_id:
        text = f"{name}: the broker knows no such contract; compare symbol, exchange and expiry with TWS"
        return Unresolved(name, "unknown", text)
    if len(by_id) > 1:
        some = [_shown(answer) for answer in by_id.values()]
        shown = ", ".join(some[:_SHOWN_MAX]) + (", …" if len(some) > _SHOWN_MAX else "")
        text = (
            f"{name}: {len(by_id)} contracts have this name: {shown}; name the exchange, such as "
            f"{name}@{_exchange(next(iter(by_id.values())))}"
        )
        return Unresolved(name, "ambiguous", text)
    (answer,) = by_id.values()
    found = msgspec.structs.replace(instrument_of(answer, ts), instrument=name)
    if found.expiry and _date(found.expiry) < _today(ts):
        text = f"{name}: this contract expired on {found.expiry}; take the next one of {found.symbol}"
        return Unresolved(name, "expired", text)
    return found


def confirmed(
    known: InstrumentDefined, answers: Sequence[ContractDetails], ts: int
) -> InstrumentDefined | Unresolved:
    """Return what the log knows of an instrument, with the broker's id of it; or why there is none."""
    found = chosen(known.instrument, answers, ts)
    if isinstance(found, Unresolved):
        return found
    if (found.multiplier, found.currency) != (known.multiplier, known.currency):
        ours, theirs = (f"{plain(one.multiplier)} {one.currency}" for one in (known, found))
        text = (
            f"{known.instrument}: a price is multiplied by {ours} in the log and by {theirs} at the broker: "
            "no amount would be right; import its data with the broker's, or under another name"
        )
        return Unresolved(known.instrument, "differs", text)
    # What the log knows of an instrument stays; the broker adds how to name it.
    return msgspec.structs.replace(known, ts=ts, con_id=found.con_id)


def request_for(known: InstrumentDefined | None, text: str) -> Contract:
    """Return what to ask for: what the log knows of an instrument, else what its name says."""
    return asked_for(text) if known is None else contract_of(known)


def _shown(answer: ContractDetails) -> str:
    contract = answer.contract
    return " ".join(part for part in (contract.expiry, _exchange(answer), contract.currency) if part)


def _exchange(answer: ContractDetails) -> str:
    return answer.contract.primary_exchange or answer.contract.exchange


def _date(expiry: str) -> str:
    return expiry if len(expiry) == 10 else f"{expiry[:4]}-{expiry[4:6]}-31"


def _today(ts: int) -> str:
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).date().isoformat()
