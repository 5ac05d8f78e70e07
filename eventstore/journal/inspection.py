"""What the bytes of a log mean after a crash: a torn tail to set aside, or damage to refuse. Only reads.

The rules, numbered as in docs/log-format.md: (2) a segment with a successor must reach exactly the length
and hash in the successor's header; (3) in the last one, damage at seq s is a torn tail unless a later
block says that s was durable; (4) ending before the high-water mark is `LostDurableData`, and so is a
torn tail beside a mark that no crash damaged: nothing tells any more whether the tail was durable.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import CorruptLog, StoreError
from eventstore.journal.blocks import HEADER_BYTES, MAGIC, decode_header, genesis, salt
from eventstore.journal.segments import SEGMENT_HEADER_BYTES, SegmentHeader, Walk, read_header
from eventstore.journal.verdict import Damage, InspectedSegment, Lost, Recovery, Torn
from eventstore.journal.watermark import BadMark, Mark, check_owner, look_at_mark
from eventstore.layout import Layout, segment_number
from eventstore.manifests.sealed_end import SealedEnd

_MAX_RETRIES = 10


def inspect(root: Path, *, whole: bool = True) -> Recovery:
    """Return where the log at `root` ends; reads only, needs no lock.

    That all sealed directories are of one log and one chain is checked if it is the `whole` one that is
    asked for; else only of those that the hot segments follow, and of the others that no seq is missing.
    Raises `Damage` or another `CorruptLog` naming file and offset, `Lost` if it ends before its
    high-water mark, `UnsupportedFormat` if a newer program wrote it.
    """
    layout = Layout(root)
    for _ in range(_MAX_RETRIES):
        # The mark is read first: beside a live writer, what is walked later can only reach further.
        mark = look_at_mark(layout)
        try:
            result = _Inspection(layout, whole=whole).run()
        except FileNotFoundError:
            continue  # a segment was sealed and unlinked meanwhile
        except OSError as error:
            raise StoreError(f"{error.filename or root}: cannot be read: {error.strerror}") from error
        return _compared(layout, result, mark)
    raise CorruptLog(
        f"{layout.hot}: its files keep vanishing while they are read; is another program at work?"
    )


def _compared(layout: Layout, result: Recovery, mark: Mark | BadMark) -> Recovery:
    """Return `result` unless the mark tells of more, of another log, or no longer tells what it did."""
    if isinstance(mark, BadMark):
        return _unmarked(layout, result, mark)
    check_owner(layout, mark, result.store)
    if mark.seq > result.last_seq:
        raise _lost(layout, msgspec.structs.replace(result, store=result.store or mark.store), mark)
    return result


def _lost(layout: Layout, result: Recovery, mark: Mark) -> Lost:
    durable = f"seq {mark.seq} of segment {mark.segment} was durable ({layout.hwm})"
    accept = "or accept the loss with `tape verify --accept-loss REASON`"
    torn = result.torn
    if torn is not None and mark.segment == torn.segment:
        return Lost(
            f"{torn.path}: offset {torn.valid_length}: damaged at seq {result.next_seq}: {torn.why}; "
            f"{durable}. The log can be read up to seq {result.last_seq}; restore the file from a copy, "
            f"{accept}",
            result,
            torn.path,
            torn.valid_length,
        )
    return Lost(
        f"{layout.root}: ends at seq {result.last_seq}, but {durable}; restore the missing file, {accept}",
        result,
    )


def _unmarked(layout: Layout, result: Recovery, mark: BadMark) -> Recovery:
    first_only = len(result.hot) == 1 and result.hot[0].header.previous_number == 0
    if result.last_seq == 0 or (mark.blank and first_only):
        return result  # the first sync is yet to come, or never came
    if mark.data is None and not layout.hot.is_dir():
        return result  # nobody writes here: a fixture, or what was published of a log
    result = msgspec.structs.replace(result, mark=mark)
    if result.torn is None or mark.blank:
        return result
    torn = result.torn
    raise Lost(
        f"{layout.hwm}: the high-water mark {mark.why}, so nothing tells whether the {len(torn.data)} bytes "
        f"at offset {torn.valid_length} of {torn.path} were a durable block; the log can be read up to seq "
        f"{result.last_seq}; put back the right file, or accept the loss with "
        "`tape verify --accept-loss REASON`",
        result,
    )


class _Inspection:
    """One pass over the sealed directories' manifests and the hot segments, in order."""

    def __init__(self, layout: Layout, *, whole: bool) -> None:
        self._layout = layout
        # Hot first, sealed second: what is sealed in between is then seen twice, never not at all.
        self._paths = layout.segments()
        first_hot = segment_number(self._paths[0]) if self._paths else None
        self._sealed = SealedEnd(layout, first_hot, whole=whole)
        self._store: bytes | None = None
        self._hot: list[InspectedSegment] = []
        self._stillborn: list[Path] = []
        self._stopped = ""  # what ended the walk of the last segment

    def run(self) -> Recovery:
        self._store = self._sealed.store()
        self._split_off_stillborn()
        following: SegmentHeader | None = None
        header = self._header(0) if self._paths else None
        for index in range(len(self._paths)):
            assert header is not None
            self._check_place(index, header)
            # A damaged header of the next one must not hide how far this one is good.
            following, refusal = self._next_header(index)
            self._take(index, header, following)
            if refusal is not None:
                raise self._damage(str(refusal), self._paths[index + 1], 0, index + 1)
            header = following
        self._check_tiling()
        return self._without_empty_ends()

    def _check_tiling(self) -> None:
        """Check that each sealed directory follows what is before it, sealed or hot."""
        unread = self._sealed.check_names()
        for part in self._sealed.parts:
            if unread:  # its name alone: the hash that it follows is in a manifest that was not read
                self._sealed.check_follows(part.path, part.first_seq, unread + 1)
                unread = 0
                continue
            before = self._before(part.manifest.segments[0].number)
            self._sealed.check_follows(part.path, part.first_seq, before.next_seq)
            if self._store is not None and part.manifest.previous_hash != before.chain.hex():
                raise CorruptLog(
                    f"{part.path}: follows hash {part.manifest.previous_hash}, but what is before it ends "
                    f"with {before.chain.hex()}; run `tape verify`"
                )

    def _split_off_stillborn(self) -> None:
        """Leave out a last file whose header is not whole: nothing can have been written to it."""
        if self._paths and self._paths[-1].stat().st_size <= SEGMENT_HEADER_BYTES:
            try:
                read_header(self._paths[-1])
            except CorruptLog:
                self._stillborn = [self._paths.pop()]

    def _next_header(self, index: int) -> tuple[SegmentHeader | None, CorruptLog | None]:
        if index + 1 == len(self._paths):
            return None, None
        try:
            return self._header(index + 1), None
        except CorruptLog as error:
            return None, error

    def _header(self, index: int) -> SegmentHeader:
        path = self._paths[index]
        try:
            header = read_header(path)
        except CorruptLog as error:
            if index:
                raise
            raise self._damage(str(error), path, 0, 0) from error
        if header.number != segment_number(path):
            raise CorruptLog(f"{path}: holds segment {header.number}: the file was renamed; name it back")
        if self._store not in (None, header.store):
            raise CorruptLog(f"{path}: belongs to another log ({header.store.hex()}); move it away")
        self._store = header.store
        return header

    def _check_place(self, index: int, header: SegmentHeader) -> None:
        """Check that a segment follows what is before it, hot or sealed."""
        if self._sealed.segment(header.number) is not None:
            return  # it is compared with its manifest instead
        path, before = self._paths[index], self._before(header.number)
        if header.previous_number != before.previous_number:
            missing = self._layout.segment_path(header.previous_number)
            sealed = self._layout.sealed / f"*-{header.first_seq - 1:014d}"
            message = (
                f"{path}: follows segment {header.previous_number}, which is missing; restore {missing}, or "
                f"{sealed} if it was sealed"
            )
            raise self._damage(message, path, 0, index)
        if (header.first_seq, header.previous_hash) != (before.next_seq, before.chain):
            message = (
                f"{path}: starts at seq {header.first_seq} after {header.previous_hash.hex()}, but segment "
                f"{before.previous_number} ends before seq {before.next_seq} with {before.chain.hex()}"
            )
            raise self._damage(message, path, 0, index)

    def _take(self, index: int, header: SegmentHeader, following: SegmentHeader | None) -> None:
        sealed = self._sealed.segment(header.number)
        if sealed is not None:
            self._take_bounded(index, header, sealed.length, bytes.fromhex(sealed.chain))
        elif following is not None and following.previous_number == header.number:
            self._take_bounded(index, header, following.previous_length, following.previous_hash)
        elif (after := self._sealed.following(header.number)) is not None:
            self._take_bounded(index, header, after.previous_length, bytes.fromhex(after.previous_hash))
        else:
            self._take_last(index, header)

    def _take_bounded(self, index: int, header: SegmentHeader, length: int, chain: bytes) -> None:
        """Walk a segment up to the length that its successor or its manifest states."""
        path = self._paths[index]
        walked = Walk(path, header.store)
        if length > walked.position.offset:
            for block in walked:
                if block.end >= length:
                    break
        end = walked.position
        self._hot.append(InspectedSegment(path, header, end))
        if (end.offset, end.chain) != (length, chain):
            why = (
                walked.damage
                or f"the file ends or goes on otherwise than at {length} with hash {chain.hex()}"
            )
            message = f"{path}: offset {end.offset}: damaged at seq {end.next_seq}: {why}"
            raise self._damage(message, path, end.offset, index + 1)

    def _take_last(self, index: int, header: SegmentHeader) -> None:
        path = self._paths[index]
        walked = Walk(path, header.store)
        for _ in walked:
            pass
        end = walked.position
        self._hot.append(InspectedSegment(path, header, end))
        if walked.damage is None:
            return
        self._stopped = walked.damage
        if _was_durable(walked.rest, header.store, end.next_seq):
            message = (
                f"{path}: offset {end.offset}: damaged at seq {end.next_seq}: {walked.damage}; "
                "a later block shows that it was durable"
            )
            raise self._damage(message, path, end.offset, index + 1)

    def _damage(self, message: str, path: Path, offset: int, first_discarded: int) -> Damage:
        kept = self._paths[first_discarded - 1] if first_discarded else None
        prefix = self._prefix((segment_number(kept or path) or 0) + (kept is not None))
        later = [part.path for part in self._sealed.parts if part.first_seq >= prefix.next_seq]
        prefix = msgspec.structs.replace(prefix, discarded=[*self._paths[first_discarded:], *later])
        return Damage(
            f"{message}. The log can be read up to seq {prefix.last_seq}; restore the file from a copy, or "
            "accept the loss with `tape verify --accept-loss REASON`",
            path,
            offset,
            prefix,
        )

    def _without_empty_ends(self) -> Recovery:
        """Leave out last segments without events, then look for a torn tail on what is last."""
        empty: list[Path] = []
        torn: Torn | None = None
        while self._hot and self._hot[-1].empty:
            segment = self._hot.pop()
            empty.append(segment.path)
            torn = torn or _tail(segment, self._stopped)
        if torn is None and self._hot and self._sealed.segment(self._hot[-1].number) is None:
            torn = _tail(self._hot[-1], self._stopped)
        return msgspec.structs.replace(self._prefix(), empty=empty, torn=torn)

    def _before(self, number: int) -> "_End":
        """Return how the segment before `number` ends, be it sealed or hot; the genesis if there is none."""
        end = _End(0, 0, genesis(self._store) if self._store is not None else b"", 1)
        sealed = self._sealed.before(number)
        if sealed is not None:
            end = _End(sealed.number, sealed.length, bytes.fromhex(sealed.chain), sealed.last_seq + 1)
        hot = max((s for s in self._hot if s.number < number), key=lambda s: s.number, default=None)
        if hot is not None and hot.number > end.previous_number:
            end = _End(hot.number, hot.end.offset, hot.end.chain, hot.end.next_seq)
        return end

    def _prefix(self, before: int = 1 << 62) -> Recovery:
        """Return where the log goes on after the segments before number `before`."""
        end = self._before(before)
        numbers = [self._sealed.last_number, *(segment_number(path) or 0 for path in self._paths)]
        return Recovery(
            store=self._store,
            epoch=max((segment.header.epoch for segment in self._hot), default=0),
            next_number=max(numbers) + 1,
            next_seq=end.next_seq,
            chain=end.chain,
            previous_number=end.previous_number,
            previous_length=end.length,
            hot=list(self._hot),
            covered=[segment for segment in self._hot if self._sealed.segment(segment.number) is not None],
            stillborn=list(self._stillborn),
        )


class _End(NamedTuple):
    # How a segment ends: its number, valid length and last hash, and the seq that must follow.
    previous_number: int
    length: int
    chain: bytes
    next_seq: int


def _tail(segment: InspectedSegment, why: str) -> Torn | None:
    data = segment.path.read_bytes()[segment.end.offset :]
    return Torn(segment.path, segment.number, segment.end.offset, data, why) if data else None


def _was_durable(rest: memoryview, store: bytes, seq: int) -> bool:
    """Return whether a later block in `rest` proves that `seq`, damaged at its start, was on disk."""
    salted = salt(store)
    header = decode_header(salted, rest)
    # A header that is whole gives the payload's length: what lies inside it proves nothing.
    start = 1 if isinstance(header, str) else HEADER_BYTES + header.payload_bytes
    data = bytes(rest)
    found = data.find(MAGIC, start)
    while found >= 0:
        later = decode_header(salted, rest[found:])
        if not isinstance(later, str) and later.synced_seq >= seq:
            return True
        found = data.find(MAGIC, found + 1)
    return False
