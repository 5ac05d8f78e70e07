"""When the journal syncs, rolls and refuses, and what it expects of a sealer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class SealResult(Protocol):
    """What a sealer reports of a segment that is sealed; see `eventstore.sealing.sealing`."""

    @property
    def first_seq(self) -> int:
        """The first seq it holds."""

    @property
    def last_seq(self) -> int:
        """The last seq it holds."""

    @property
    def chain(self) -> str:
        """Its last hash, hexadecimal."""

    @property
    def path(self) -> Path:
        """The hot segment, which may go now."""


class Sealer(Protocol):
    """Turns closed segments into Parquet, elsewhere."""

    def offer(self, path: Path) -> None:
        """Take a closed segment to be sealed."""

    def poll(self) -> Sequence[SealResult]:
        """Return what has been sealed since the last call, without waiting."""

    def drain(self, timeout_s: float) -> Sequence[SealResult]:
        """Wait for what was offered and return it."""

    def compact(self, timeout_s: float) -> None:
        """Merge small sealed directories, for that long at most; called once, at the end."""


@dataclass(frozen=True)
class Policy:
    """When the journal syncs, rolls and refuses. Times in seconds, sizes in bytes.

    `sync_after_s` is the loss window of commits with `sync=False` (market data alone).
    """

    sync_after_s: float = 1.0
    roll_events: int = 200_000
    roll_bytes: int = 64 << 20
    roll_after_s: float = 15 * 60.0
    min_free_bytes: int = 64 << 20
    free_check_s: float = 1.0
    seal_at_close_s: float = 60.0
    compact_at_close_s: float = 60.0
