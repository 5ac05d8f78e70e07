"""What an inspection says of a log: where it goes on, what is to be set aside, and what is wrong with it.

Values and errors only. How they are found is inspection.py's, what is done about them recovery.py's.
"""

from pathlib import Path

import msgspec

from core.errors import CorruptLog, LostDurableData
from eventstore.journal.segments import SEGMENT_HEADER_BYTES, Position, SegmentHeader
from eventstore.journal.watermark import BadMark


class InspectedSegment(msgspec.Struct, frozen=True):
    """A segment that is not unlinked yet, and where its valid part ends."""

    path: Path
    header: SegmentHeader
    end: Position

    @property
    def number(self) -> int:
        """Its number."""
        return self.header.number

    @property
    def last_seq(self) -> int:
        """The last seq it holds; one before its first if it is empty."""
        return self.end.next_seq - 1

    @property
    def empty(self) -> bool:
        """Whether it holds no event."""
        return self.end.offset == SEGMENT_HEADER_BYTES


class Torn(msgspec.Struct, frozen=True):
    """Bytes after the valid end of the last segment that never became durable; `why` they are not valid."""

    path: Path
    segment: int
    valid_length: int
    data: bytes
    why: str


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """Where a log goes on. `store` is `None` for a log that does not exist yet.

    `hot` are the segments still in `hot/`; of these, `covered` are sealed already. `stillborn` are files
    whose header never became whole, so that nothing can have been written to them; `empty` hold no
    event; `discarded` are those after damage, which go to quarantine if the loss is accepted. `mark` is a
    high-water mark that says nothing although the log holds events.
    """

    store: bytes | None
    epoch: int = 0
    next_number: int = 1
    next_seq: int = 1
    chain: bytes = b""
    previous_number: int = 0
    previous_length: int = 0
    hot: list[InspectedSegment] = []
    covered: list[InspectedSegment] = []
    stillborn: list[Path] = []
    empty: list[Path] = []
    discarded: list[Path] = []
    torn: Torn | None = None
    mark: BadMark | None = None

    @property
    def last_seq(self) -> int:
        """The last seq that can be read."""
        return self.next_seq - 1


class Damage(CorruptLog):
    """Corruption of the hot journal, with the good prefix before it, which stays readable."""

    def __init__(self, message: str, path: Path, offset: int, prefix: Recovery) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset
        self.prefix = prefix


class Lost(LostDurableData):
    """The log ends before its high-water mark; `prefix` is what there is, `path` and `offset` where it ends.

    They are `None` where what follows is not damaged but missing.
    """

    def __init__(
        self, message: str, prefix: Recovery, path: Path | None = None, offset: int | None = None
    ) -> None:
        super().__init__(message)
        self.prefix = prefix
        self.path = path
        self.offset = offset
