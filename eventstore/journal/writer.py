"""The active segment: one file that only grows, and the high-water mark beside it.

It turns cut-up buffers into blocks, writes them with one `write`, and knows what is durable. It raises
`OSError` as it comes; the journal decides what that means. It must never open an existing segment.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b

from eventstore.codec import array_header
from eventstore.files import Files, write_all
from eventstore.journal.blocks import encode_block, genesis, salt
from eventstore.journal.segments import SEGMENT_HEADER_BYTES, SegmentHeader, encode_segment_header
from eventstore.journal.verdict import Recovery
from eventstore.journal.watermark import Mark, encode_mark
from eventstore.layout import Layout
from eventstore.platform import boot_id


class SegmentWriter:
    """Writes blocks to a new segment. `events` and `bytes` count what this segment holds."""

    def __init__(self, layout: Layout, files: Files, header: SegmentHeader, hwm_fd: int) -> None:
        self.header = header
        self.path = layout.segment_path(header.number)
        self.store = header.store
        self.chain = header.previous_hash
        self.last_seq = self.durable_seq = header.first_seq - 1
        self.events = 0
        self.bytes = SEGMENT_HEADER_BYTES
        self.opened_ns = header.monotonic_ns
        self._layout = layout
        self._files = files
        self._hwm_fd = hwm_fd
        self._salt = salt(header.store)
        self._fd = files.create(self.path)
        # The header is durable before any block: a torn header means that nothing was written.
        write_all(files, self._fd, encode_segment_header(header))
        files.data_sync(self._fd)
        files.sync_directory(layout.hot)

    @classmethod
    def after(
        cls, layout: Layout, files: Files, found: Recovery, *, wall_ns: int, monotonic_ns: int
    ) -> "SegmentWriter":
        """Return the writer of the segment that follows what recovery found, or a new log's first."""
        store = found.store or os.urandom(16)
        header = SegmentHeader(
            store=store,
            number=found.next_number,
            epoch=found.epoch + 1,
            first_seq=found.next_seq,
            previous_number=found.previous_number,
            previous_length=found.previous_length,
            previous_hash=found.chain or genesis(store),
            boot=blake2b(boot_id().encode(), digest_size=8).digest(),
            wall_ns=wall_ns,
            monotonic_ns=monotonic_ns,
        )
        hwm_fd = files.open_update(layout.hwm)
        if found.store is None:
            for directory in (layout.root, layout.root.parent):
                files.sync_directory(directory)
        return cls(layout, files, header, hwm_fd)

    def next(self, *, wall_ns: int, monotonic_ns: int) -> "SegmentWriter":
        """Return the writer of the segment that follows this one, which must be durable."""
        assert self.durable_seq == self.last_seq
        header = SegmentHeader(
            store=self.store,
            number=self.header.number + 1,
            epoch=self.header.epoch,
            first_seq=self.last_seq + 1,
            previous_number=self.header.number,
            previous_length=self.bytes,
            previous_hash=self.chain,
            boot=self.header.boot,
            wall_ns=wall_ns,
            monotonic_ns=monotonic_ns,
        )
        return SegmentWriter(self._layout, self._files, header, self._take_hwm())

    def write(self, buffer: bytearray, cuts: Sequence[tuple[int, int]], *, wall_ns: int) -> None:
        """Write the records in `buffer` as one block per cut, `(end offset, records)`, with one write."""
        parts: list[bytes | memoryview] = []
        chain, last_seq, start = self.chain, self.last_seq, 0
        with memoryview(buffer) as view:
            for end, count in cuts:
                payload = array_header(count) + view[start:end]
                header, chain = encode_block(
                    self._salt, count, last_seq + 1, self.durable_seq, wall_ns, chain, payload
                )
                parts += (header, payload)
                last_seq, start = last_seq + count, end
        data = b"".join(parts)
        write_all(self._files, self._fd, data)
        self.chain = chain
        self.events += last_seq - self.last_seq
        self.last_seq = last_seq
        self.bytes += len(data)

    def sync(self) -> None:
        """Make everything written durable and move the high-water mark."""
        self._files.data_sync(self._fd)
        self.durable_seq = self.last_seq
        if self.last_seq:
            self._files.seek(self._hwm_fd, 0)
            write_all(
                self._files, self._hwm_fd, encode_mark(Mark(self.store, self.header.number, self.last_seq))
            )

    def close(self) -> None:
        """Close the file; everything in it must be durable."""
        fd, self._fd = self._fd, -1
        self._files.close(fd)
        if self._hwm_fd >= 0:
            self._files.close(self._take_hwm())

    def abandon(self) -> None:
        """Close what is open after a failure, without touching a byte more."""
        for fd in (self._fd, self._take_hwm()):
            if fd >= 0:
                with suppress(OSError):
                    os.close(fd)
        self._fd = -1

    def _take_hwm(self) -> int:
        fd, self._hwm_fd = self._hwm_fd, -1
        return fd
