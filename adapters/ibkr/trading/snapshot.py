"""The broker's book, asked for piece by piece: orders, executions after them, then positions and cash.

Orders and executions are asked for until two passes in a row agree, which closes the race between an order
that fills and the list of open ones. A piece is asked for when the one before has ended, again if it does not
end in time, three times at most. Messages go on to become events as always; this only keeps what a
comparison needs. It sends nothing itself.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import (
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
from adapters.ibkr.wire.values import told_amount
from core.clock import SECOND_NS
from core.money import ZERO

PIECE_S = 15.0
TRIES_MAX = 3
SPARE_S = 5.0
"""How long a piece is waited for, once, that the rest can do without: no order leaves meanwhile."""
PASSES_MAX = 5
PAUSE_S = 2.0
"""Between passes that did not agree."""


class Piece(msgspec.Struct, frozen=True):
    """One request of a snapshot, and the message that ends its answer. Without some the rest still counts."""

    name: str
    request: Callable[[Encoder], bytes]
    end: type[Message]
    needed: bool = True


class Evidence(msgspec.Struct):
    """What the broker showed: by permanent id, execution id, account and contract, currency."""

    open: dict[int, OpenOrder] = {}
    completed: dict[int, CompletedOrder] = {}
    executions: dict[str, Execution] = {}
    positions: dict[tuple[str, int], Position] = {}
    cash: dict[tuple[str, str], Decimal] = {}

    def shares(self) -> dict[int, Decimal]:
        """Return what was executed by permanent id, each execution in its highest revision."""
        highest: dict[str, tuple[int, Execution]] = {}
        for said in self.executions.values():
            base, revision = split_exec_id(said.exec_id)
            if base not in highest or revision > highest[base][0]:
                highest[base] = (revision, said)
        sums: dict[int, Decimal] = {}
        for _, said in highest.values():
            sums[said.perm_id or 0] = sums.get(said.perm_id or 0, ZERO) + (said.quantity or ZERO)
        return sums

    def compared(self) -> dict[int, tuple[str, Decimal]]:
        """Return what two passes must agree in: status and executed shares by permanent id."""
        shares = self.shares()
        told = {perm: said.state.status for perm, said in self.completed.items()}
        told |= {perm: said.state.status for perm, said in self.open.items()}
        return {perm: (told.get(perm, ""), shares.get(perm, ZERO)) for perm in told.keys() | shares.keys()}


class Snapshot:
    """One look at the broker's book. `feed` takes messages; `due` says what to ask for next."""

    def __init__(
        self,
        account: str,
        execution_days: int,
        take_id: Callable[[], int],
        *,
        pause_s: float = PAUSE_S,
        orders_only: bool = False,
    ) -> None:
        self.evidence = Evidence()
        self.failed = ""
        self.passes = 0
        self._pause_ns = round(pause_s * SECOND_NS)
        self._pass = [
            Piece("open orders of this client", lambda e: e.req_open_orders(), OpenOrdersEnd),
            Piece("open orders", lambda e: e.req_all_open_orders(), OpenOrdersEnd),
            Piece("completed orders", lambda e: e.req_completed_orders(), CompletedOrdersEnd),
            Piece(
                "executions",
                lambda e: e.req_executions(take_id(), account=account, last_days=execution_days),
                ExecutionsEnd,
            ),
        ]
        positions = Piece("positions", lambda e: e.req_positions(), PositionsEnd)
        cash = Piece("account", lambda e: e.req_account_updates(account), AccountDownloadEnd, needed=False)
        self._rest = [] if orders_only else [positions, cash]
        self._pieces: list[Piece] = []
        self._before: dict[int, tuple[str, Decimal]] | None = None
        self._agreed = False
        self._asked_ns: int | None = None
        self._not_before_ns: int | None = None
        self._paused = False
        self._tries = 0
        self._begin_pass()

    @property
    def done(self) -> bool:
        """Whether two passes agreed (or no more are tried) and every piece has ended."""
        return not self._pieces and self._agreed

    def due(self, encoder: Encoder, now_ns: int) -> bytes | None:
        """Return the request to send now, or `None`; sets `failed` when a piece did not end in time."""
        if not self._pieces or self.failed or self._pausing(now_ns):
            return None
        needed = self._pieces[0].needed
        wait_s, tries_max = (PIECE_S, TRIES_MAX) if needed else (SPARE_S, 1)
        if self._asked_ns is not None and now_ns - self._asked_ns < wait_s * SECOND_NS:
            return None
        if self._tries >= tries_max:
            if needed:
                self.failed = f"no end of {self._pieces[0].name} within {TRIES_MAX} x {PIECE_S:g} s"
            else:
                self._ended()
            return None
        self._asked_ns = now_ns
        self._tries += 1
        return self._pieces[0].request(encoder)

    def feed(self, message: Message) -> None:
        """Keep what a message shows; an end leads to the next piece."""
        kind = type(message)
        if kind is Execution and self._agreed:
            assert isinstance(message, Execution)
            if message.exec_id not in self.evidence.executions and self.passes < PASSES_MAX:
                self._before = None
                self._begin_pass()  # the book moved after it had held still
        keep = _KEEP.get(kind)
        if keep is not None:
            keep(self.evidence, message)
        elif self._pieces and self._asked_ns is not None and kind is self._pieces[0].end:
            self._ended()

    def _pausing(self, now_ns: int) -> bool:
        if self._paused and self._not_before_ns is None:
            self._not_before_ns = now_ns + self._pause_ns
        return self._not_before_ns is not None and now_ns < self._not_before_ns

    def _begin_pass(self) -> None:
        self._pieces, self._agreed = list(self._pass), False
        self._asked_ns, self._tries = None, 0
        self.evidence.open.clear()

    def _ended(self) -> None:
        self._pieces.pop(0)
        self._asked_ns, self._tries = None, 0
        if self._pieces or self._agreed:
            return
        self.passes += 1
        shown = self.evidence.compared()
        if shown == self._before or self.passes >= PASSES_MAX:
            self._pieces, self._agreed = list(self._rest), True
            self.evidence.positions.clear()
            self.evidence.cash.clear()
            return
        self._paused, self._not_before_ns = self._before is not None, None
        self._before = shown
        self._begin_pass()


def split_exec_id(exec_id: str) -> tuple[str, int]:
    """Return the identity of an execution and its revision: the digits after the last period."""
    base, _, last = exec_id.rpartition(".")
    return (base, int(last)) if base and last.isdecimal() else (exec_id, 1)


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
        balance = told_amount(said.value)
        if balance is not None:
            evidence.cash[said.account, said.currency] = balance


_KEEP: dict[type[Message], Callable[[Evidence, Any], None]] = {
    OpenOrder: _open,
    CompletedOrder: _completed,
    Execution: _execution,
    Position: _position,
    AccountValue: _value,
}
