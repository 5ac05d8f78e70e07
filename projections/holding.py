"""The movements of one instrument in one account, in order, and the ledgers they add up to.

The latest movements are kept as they are. Older ones are settled: packed into blocks, each with the
ledgers as they were behind it. Nothing is lost: a movement that comes late, or is taken out, opens its
block, and the ledgers are computed anew from there on. So packing changes cost and memory, never a figure.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import chain

import msgspec

from projections.ledger import Ledgers, Movement

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Movement])

Key = tuple[int, str]


def movement_key(movement: Movement) -> Key:
    """Return what orders movements: (execution time, execId)."""
    return movement.ts, movement.exec_id


class Block:
    """Settled movements, packed: about 60 bytes each. `last` is the key of the last, `after` its ledgers."""

    __slots__ = ("after", "last", "packed")

    def __init__(self, movements: list[Movement], after: Ledgers) -> None:
        self.after = after
        self.pack(movements)

    def pack(self, movements: list[Movement]) -> None:
        """Replace the movements, which are in order; at least one."""
        self.last = movement_key(movements[-1])
        self.packed = _ENCODER.encode(movements)

    def unpack(self) -> list[Movement]:
        """Return the movements."""
        return _DECODER.decode(self.packed)


def _last(block: Block) -> Key:
    return block.last


class Holding:
    """Movements in order, settled ones in `blocks`, and the `ledgers` as they stand.

    With `keep`, at least that many of the latest movements stay unpacked, and at most twice as many.
    """

    __slots__ = ("_halfway", "_keep", "blocks", "due", "ledgers", "movements")

    def __init__(self, keep: int | None = None) -> None:
        self._keep = keep or 1 << 62
        self.movements: list[Movement] = []
        self.blocks: list[Block] = []
        self.ledgers = Ledgers()
        self._halfway: Ledgers | None = None  # behind the first `keep` movements that are not settled
        self.due = self._keep  # the number of movements at which `turn` is to be called

    def __iter__(self) -> Iterator[Movement]:
        return chain(chain.from_iterable(block.unpack() for block in self.blocks), self.movements)

    def is_late(self, movement: Movement) -> bool:
        """Return whether there are movements behind which this one does not belong."""
        if not self.movements:
            return self.is_settled(movement)
        last = self.movements[-1]
        return movement.ts <= last.ts and movement_key(movement) < movement_key(last)

    def append(self, movement: Movement) -> None:
        """Add a movement that is not late."""
        self.movements.append(movement)
        self.ledgers.book(movement)

    def turn(self) -> list[Movement]:
        """Settle the older half once there are `due` movements; return what was settled."""
        if self._halfway is None:
            settled: list[Movement] = []
        else:
            settled = self.movements[: self._keep]
            del self.movements[: self._keep]
            self.blocks.append(Block(settled, self._halfway))
        self._halfway = self.ledgers.copy()
        self.due = 2 * self._keep
        return settled

    def is_settled(self, movement: Movement) -> bool:
        """Return whether the movement belongs among the settled ones."""
        return bool(self.blocks) and movement_key(movement) <= self.blocks[-1].last

    def insert(self, movement: Movement) -> None:
        """Add a late movement, and compute anew what follows on it."""
        if not self.is_settled(movement):
            insort(self.movements, movement, key=movement_key)
            self._refold(len(self.blocks))
            return
        at = bisect_left(self.blocks, movement_key(movement), key=_last)
        movements = self.blocks[at].unpack()
        insort(movements, movement, key=movement_key)
        self._put(at, movements)
        self._refold(at)

    def remove(self, movement: Movement) -> None:
        """Remove a movement that is known to be there, and compute anew what follows on it."""
        key = movement_key(movement)
        if not self.is_settled(movement):
            del self.movements[bisect_left(self.movements, key, key=movement_key)]
            self._refold(len(self.blocks))
            return
        at = bisect_left(self.blocks, key, key=_last)
        movements = self.blocks[at].unpack()
        del movements[bisect_left(movements, key, key=movement_key)]
        self._put(at, movements)
        self._refold(at)

    def replace(self, movement: Movement) -> None:
        """Write back a settled movement whose charge alone has changed."""
        key = movement_key(movement)
        block = self.blocks[bisect_left(self.blocks, key, key=_last)]
        movements = block.unpack()
        movements[bisect_left(movements, key, key=movement_key)] = movement
        block.pack(movements)

    def settled(self, movement: Movement) -> Movement | None:
        """Return the settled movement of the same time and id, or `None`: one block is looked at."""
        if not self.is_settled(movement):
            return None
        key = movement_key(movement)
        movements = self.blocks[bisect_left(self.blocks, key, key=_last)].unpack()
        at = bisect_left(movements, key, key=movement_key)
        found = movements[at] if at < len(movements) else None
        return found if found is not None and movement_key(found) == key else None

    def has(self, movement: Movement) -> Movement | None:
        """Return the very movement if it is here and not settled, else `None`."""
        at = bisect_left(self.movements, movement_key(movement), key=movement_key)
        return movement if at < len(self.movements) and self.movements[at] is movement else None

    def search(self, exec_id: str) -> Movement | None:
        """Return the settled movement with this id, or `None`: every block is looked at, the last first."""
        for block in reversed(self.blocks):
            for movement in block.unpack():
                if movement.exec_id == exec_id:
                    return movement
        return None

    def _put(self, at: int, movements: list[Movement]) -> None:
        # Blocks stay as small as a window, whatever comes late.
        size = self._keep if len(movements) > 2 * self._keep else len(movements) or 1
        pieces = [movements[start : start + size] for start in range(0, len(movements), size)]
        self.blocks[at : at + 1] = [Block(piece, Ledgers()) for piece in pieces]

    def _refold(self, first: int) -> None:
        """Compute the ledgers anew from the block `first` on."""
        ledgers = self.blocks[first - 1].after.copy() if first else Ledgers()
        for block in self.blocks[first:]:
            for movement in block.unpack():
                ledgers.book(movement)
            block.after = ledgers.copy()
        self.ledgers, self._halfway, self.due = ledgers, None, self._keep
        for number, movement in enumerate(self.movements, 1):
            ledgers.book(movement)
            if number == self._keep:
                self.turn()
