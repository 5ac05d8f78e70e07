"""The broker's book, asked for piece by piece: orders, executions after them, positions, cash.

A piece is asked for when the one before has ended, again if it does not end in time, three times at most.
Messages go on to become events as always; this only keeps what a comparison needs. It sends nothing itself.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from adapters.ibkr.encoder import Encoder
from adapters.ibkr.messages import (
    AccountDownloadEnd,
    AccountValue,
    CompletedOrder,
    CompletedOrdersEnd,
    Execution,
    ExecutionsEnd,
    Message,
    OpenOrder,
    OpenOrdersEnd,
    Position,
    PositionsEnd,
)

PIECE_S = 15.0
TRIES_MAX = 3


class Piece(msgspec.Struct, frozen=True):
    """One request of a snapshot, and the message that ends its answer."""

    name: str
    request: Callable[[Encoder], bytes]
    end: type[Message]


class Evidence(msgspec.Struct):
    """What the broker showed: by permanent id, execution id, account and contract, currency."""

    open: dict[int, OpenOrder] = {}
    completed: dict[int, CompletedOrder] = {}
    executions: dict[str, Execution] = {}
    positions: dict[tuple[str, int], Position] = {}
    cash: dict[tuple[str, str], Decimal] = {}


class Snapshot:
    """One pass over the broker's book. `feed` takes messages; `due` says what to ask for next."""

    def __init__(self, account: str, execution_days: int, take_id: Callable[[], int]) -> None:
        self.evidence = Evidence()
        self.failed = ""
        self._pieces = [
            Piece("open orders of this client", lambda e: e.req_open_orders(), OpenOrdersEnd),
            Piece("open orders", lambda e: e.req_all_open_orders(), OpenOrdersEnd),
            Piece("completed orders", lambda e: e.req_completed_orders(), CompletedOrdersEnd),
            Piece(
                "executions",
                lambda e: e.req_executions(take_id(), account=account, last_days=execution_days),
                ExecutionsEnd,
            ),
            Piece("positions", lambda e: e.req_positions(), PositionsEnd),
            Piece("account", lambda e: e.req_account_updates(account), AccountDownloadEnd),
        ]
        self._asked_ns: int | None = None
        self._tries = 0

    @property
    def done(self) -> bool:
        """Whether every piece has ended."""
        return not self._pieces

    def due(self, encoder: Encoder, now_ns: int) -> bytes | None:
        """Return the request to send now, or `None`; sets `failed` when a piece did not end in time."""
        if not self._pieces or self.failed:
            return None
        if self._asked_ns is not None and now_ns - self._asked_ns < PIECE_S * 1e9:
            return None
        if self._tries >= TRIES_MAX:
            self.failed = f"no end of {self._pieces[0].name} within {TRIES_MAX} x {PIECE_S:g} s"
            return None
        self._asked_ns = now_ns
        self._tries += 1
        return self._pieces[0].request(encoder)

    def feed(self, message: Message) -> None:
        """Keep what a message shows; an end leads to the next piece."""
        keep = _KEEP.get(type(message))
        if keep is not None:
            keep(self.evidence, message)
        elif self._pieces and self._asked_ns is not None and type(message) is self._pieces[0].end:
            self._pieces.pop(0)
            self._asked_ns, self._tries = None, 0


def _open(evidence: Evidence, said: Any) -> None:
    if said.terms.perm_id and not said.terms.what_if:
        evidence.open[said.terms.perm_id] = said


def _completed(evidence: Evidence, said: Any) -> None:
    if said.terms.perm_id:
        evidence.completed[said.terms.perm_id] = said
        evidence.open.pop(said.terms.perm_id, None)


def _execution(evidence: Evidence, said: Any) -> None:
    evidence.executions[said.exec_id] = said


def _position(evidence: Evidence, said: Any) -> None:
    evidence.positions[said.account, said.contract.con_id or 0] = said


def _value(evidence: Evidence, said: Any) -> None:
    if said.key in ("CashBalance", "TotalCashBalance") and said.currency not in ("", "BASE"):
        evidence.cash[said.account, said.currency] = Decimal(said.value)


_KEEP: dict[type[Message], Callable[[Evidence, Any], None]] = {
    OpenOrder: _open,
    CompletedOrder: _completed,
    Execution: _execution,
    Position: _position,
    AccountValue: _value,
}
