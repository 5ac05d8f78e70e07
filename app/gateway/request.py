"""What a simulated gateway is asked to be, and how its options are written."""

import re
from decimal import Decimal
from pathlib import Path

import msgspec

from adapters.ibkr.gateway.faults import Fault, parse
from adapters.ibkr.gateway.market import Speed
from adapters.ibkr.gateway.wire import VERSION_MAX
from core.errors import ConfigError, UsageError
from core.matching import FillModel
from core.money import decimal_of

ACCOUNT = "DU1000001"
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,8})?"
_BALANCE = re.compile(rf"(?P<currency>[A-Z]{{3}})=(?P<amount>-?{_NUMBER})@(?P<rate>{_NUMBER})")


class Balance(msgspec.Struct, frozen=True):
    """Cash in another currency than the account's, and what one unit is worth in that."""

    currency: str
    amount: Decimal
    rate: Decimal


class GatewayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is asked to be. `speed` is a factor, `max` or `step`; port 0 takes a free one.

    `start` is where the day begins: `open` (regular hours), `begin` (the first event) or a clock time of
    the exchange.
    """

    date: str
    host: str = "127.0.0.1"
    port: int = 4002
    speed: Speed = 1.0
    start: str = ""
    faults: tuple[Fault, ...] = ()
    server_version: int = VERSION_MAX
    account: str = ACCOUNT
    book: Path | None = None
    fresh: bool = False
    cash: Decimal = Decimal(100000)
    currency: str = "USD"
    balances: tuple[Balance, ...] = ()
    commission: str = "ibkr_fixed"
    latency_ms: float = 0.0
    partial_fills: bool = False
    history: int = 1
    """How many sessions before the day are history with all that was recorded of them."""

    @property
    def fills(self) -> FillModel:
        """How orders fill."""
        return FillModel(self.latency_ms, self.partial_fills)


def parse_speed(text: str) -> Speed:
    """Return a factor of real time, `max` or `step`; raises `UsageError`."""
    if text == "max":
        return "max"
    if text == "step":
        return "step"
    try:
        factor = float(decimal_of(text))
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 100_000:
        raise UsageError(f"--speed {text}: expected a factor such as 1 or 60, max, or step")
    return factor


def parse_balance(text: str) -> Balance:
    """Return the balance that a text such as `EUR=5000@1.08` names; raises `UsageError`."""
    found = _BALANCE.fullmatch(text)
    if found is None or not Decimal(found["rate"]):
        raise UsageError(f"--balance {text}: expected currency, amount and rate, such as EUR=5000@1.08")
    return Balance(found["currency"], Decimal(found["amount"]), Decimal(found["rate"]))


def read_faults(script: str) -> tuple[Fault, ...]:
    """Return the faults of a file, or of a script given as text; raises `ConfigError`."""
    path = Path(script)
    if script and ":" not in script and "=" not in script:
        try:
            return parse(path.read_text("utf-8-sig"), str(path))
        except OSError as error:
            raise ConfigError(f"--faults {script}: {error.strerror}; expected a file or a script") from error
    return parse(script, "--faults")
