"""The journal: the single writer of a log on disk.

`append` buffers, `commit` writes one block with one `write`, and a sync makes it durable. It owns the
lock, the active segment, the high-water mark and the order of steps when a segment is closed or a sealed
one is removed. Any `OSError` kills it for good (`LogDead`): after a failed sync the kernel may call lost
data clean, so nothing is ever retried. It must never edit old bytes, import pyarrow or duckdb, or start
a thread; times come from the two injected clocks.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import NamedTuple, NoReturn, Self

from core.clock import SECOND_NS
from core.errors import LogDead, StoreError
from core.events import Event, LossAccepted, Recovered, SegmentSealed
from eventstore.build_area import wipe
from eventstore.files import Files
from eventstore.journal.buffer import RecordBuffer
from eventstore.journal.policy import Policy, Sealer, SealResult
from eventstore.journal.recovery import recover, recovered_from
from eventstore.journal.verdict import Recovery
from eventstore.journal.writer import SegmentWriter
from eventstore.layout import Layout
from eventstore.lock import Lock


class Outside(NamedTuple):
    """What a journal works with: clocks (ns), calls to the file system, who seals, and when it does what."""

    clock: Callable[[], int]
    monotonic: Callable[[], int]
    files: Files
    sealer: Sealer | None = None
    policy: Policy = Policy()


class Journal:
    """An open log: `LogWriter` over a directory. Make one with `Journal.open`."""

    def __init__(
        self,
        layout: Layout,
        writer: SegmentWriter,
        lock: Lock,
        outside: Outside,
    ) -> None:
        self.recovered: Recovered | None = None
        self.policy = outside.policy
        self._layout = layout
        self._writer = writer
        self._lock = lock
        self._clock = outside.clock
        self._monotonic = outside.monotonic
        self._files = outside.files
        self._sealer = outside.sealer
        self._dead: str | None = None
        self._records = RecordBuffer(writer.last_seq)
        self._dirty_since: int | None = None
        self._free_checked: int | None = None
        self._unlink_later: list[Path] = []

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        clock: Callable[[], int] = time_ns,
        monotonic: Callable[[], int] = monotonic_ns,
        files: Files | None = None,
        sealer: Sealer | None = None,
        policy: Policy = Policy(),  # noqa: B008
    ) -> Self:
        """Take the lock, recover, and go on in a new segment; makes the log if there is none.

        Raises `LogLocked` naming the holder, `CorruptLog` naming file and offset, `LostDurableData`,
        `UnsupportedFormat`, or `StoreError`/`LogDead` if the directory cannot be used.
        """
        layout, outside = Layout(root), Outside(clock, monotonic, files or Files(), sealer, policy)
        lock = take_lock(layout, outside.files, clock)
        try:
            wipe(layout, outside.files)
            found = recover(root, outside.files)
            return cls.start(layout, lock, found, outside)
        except OSError as error:
            lock.release()
            raise dead_at(layout.root, error) from error
        except BaseException:
            lock.release()
            raise

    @classmethod
    def start(
        cls,
        layout: Layout,
        lock: Lock,
        found: Recovery,
        outside: Outside,
        *,
        loss: LossAccepted | None = None,
    ) -> Self:
        """Go on behind what an inspection found, in a new segment that says what was lost or mended.

        The lock is held, and stays with the caller if this fails. Raises `OSError` or `LogDead`.
        """
        writer = SegmentWriter.after(
            layout, outside.files, found, wall_ns=outside.clock(), monotonic_ns=outside.monotonic()
        )
        journal = cls(layout, writer, lock, outside)
        if loss is not None:
            journal.append(loss)
        elif (recovered := recovered_from(found, outside.clock)) is not None:
            journal.recovered = recovered
            journal.append(recovered)
        journal._flush(sync=True)
        journal._take_up(found)
        return journal

    @property
    def root(self) -> Path:
        """The log's directory."""
        return self._layout.root

    @property
    def store(self) -> bytes:
        """The log's UUID, 16 bytes."""
        return self._writer.store

    @property
    def chain(self) -> bytes:
        """The hash over everything committed: export it, and the log cannot be changed unnoticed."""
        return self._writer.chain

    @property
    def last_seq(self) -> int:
        """The seq of the last event appended (committed or not)."""
        return self._records.last_seq

    @property
    def durable_seq(self) -> int:
        """The seq up to which everything survives a power cut."""
        return self._writer.durable_seq

    @property
    def sync_due_s(self) -> float | None:
        """Seconds until `commit(sync=False)` will sync what is not durable yet; `None` if all is.

        An idle loop calls `commit(sync=False)` by then.
        """
        if self._dirty_since is None:
            return None
        return max(0.0, self.policy.sync_after_s - (self._monotonic() - self._dirty_since) / SECOND_NS)

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Buffer an event and return its seq; `at=None` makes it an input (`at = seq`).

        Raises `InvalidEvent` and buffers nothing of an event that must not be stored.
        """
        if self._dead is not None:
            self._refuse()
        return self._records.append(event, at, cause, self._clock())

    def extend(self, events: Sequence[Event]) -> range:
        """Append inputs that were received together (one `recv`); return their seqs.

        Raises `InvalidEvent` and buffers nothing if any of them must not be stored.
        """
        if self._dead is not None:
            self._refuse()
        return self._records.extend(events, self._clock())

    def commit(self, *, sync: bool) -> None:
        """Write what is buffered with one `write`; durable on return if `sync`.

        Otherwise it is durable after the first commit that comes `sync_after_s` later. Raises `LogDead`
        naming file and errno if the system refuses (the journal then accepts nothing more), and
        `StoreError` before anything is written if the disk is nearly full (nothing is lost; free some
        space and commit again).
        """
        if self._dead is not None:
            self._refuse()
        self._guard_space()
        self._flush(sync=sync or self.sync_due_s == 0.0)
        if self._sealer is not None:
            self._finish_sealed(self._sealer.poll())
        if self._roll_due():
            self.roll()

    def roll(self) -> None:
        """Close the active segment, if it holds anything, and go on in a new one."""
        if self._dead is not None:
            self._refuse()
        self._flush(sync=True)
        if self._writer.events == 0:
            return
        closed = self._writer
        with _Fatal(self):
            self._writer = closed.next(wall_ns=self._clock(), monotonic_ns=self._monotonic())
            closed.close()
            self._retry_unlinks()
        if self._sealer is not None:
            self._sealer.offer(closed.path)

    def close(self) -> None:
        """Commit durably, have the closed segments sealed and compacted if there is a sealer, release."""
        if self._dead is not None:
            self._writer.abandon()
            self._lock.release()
            return
        try:
            self._flush(sync=True)
            if self._sealer is not None:
                self.roll()
                self._finish_sealed(self._sealer.drain(self.policy.seal_at_close_s))
            with _Fatal(self):
                self._writer.close()
                if self._writer.events == 0:
                    self._files.unlink(self._writer.path)
            self._dead = "it was closed"
            if self._sealer is not None:
                # Last, so that who has no patience for it interrupts nothing else.
                self._sealer.compact(self.policy.compact_at_close_s)
        finally:
            self._writer.abandon()
            self._lock.release()

    def _flush(self, *, sync: bool) -> None:
        """Write the buffer as blocks and sync if asked; the journal dies if either fails."""
        with _Fatal(self):
            if self._records.data:
                self._records.cut()
                self._writer.write(self._records.data, self._records.cuts, wall_ns=self._clock())
                self._records.clear()
                if self._dirty_since is None:
                    self._dirty_since = self._monotonic()
            if sync and self._dirty_since is not None:
                self._lock.check()
                self._writer.sync()
                self._dirty_since = None

    def _roll_due(self) -> bool:
        writer, policy = self._writer, self.policy
        if writer.events >= policy.roll_events or writer.bytes >= policy.roll_bytes:
            return True
        return writer.events > 0 and self._monotonic() - writer.opened_ns >= policy.roll_after_s * SECOND_NS

    def _guard_space(self) -> None:
        now = self._monotonic()
        if self._free_checked is not None and now - self._free_checked < self.policy.free_check_s * SECOND_NS:
            return
        with _Fatal(self):
            free = self._files.free_bytes(self._layout.hot)
        if free < self.policy.min_free_bytes:
            raise StoreError(
                f"{self._layout.hot}: {free >> 20} MiB free, at least {self.policy.min_free_bytes >> 20} MiB "
                "are kept back; nothing more is written: free some space, then run the command again"
            )
        self._free_checked = now

    def _take_up(self, found: Recovery) -> None:
        """Finish what a crash interrupted: remove sealed segments, have closed ones sealed."""
        covered = {segment.path for segment in found.covered}
        for segment in found.covered:
            self._remove_sealed(
                segment.header.first_seq, segment.last_seq, segment.end.chain.hex(), segment.path
            )
        if self._sealer is not None:
            for segment in found.hot:
                if segment.path not in covered and not segment.empty:
                    self._sealer.offer(segment.path)

    def _finish_sealed(self, results: Sequence[SealResult]) -> None:
        for result in results:
            self._remove_sealed(result.first_seq, result.last_seq, result.chain, result.path)

    def _remove_sealed(self, first_seq: int, last_seq: int, chain: str, path: Path) -> None:
        """Steps 9 to 11 of sealing: say so durably, then unlink the hot segment."""
        self.append(SegmentSealed(self._clock(), first_seq, last_seq, chain))
        self._flush(sync=True)
        self._unlink_later.append(path)
        with _Fatal(self):
            self._retry_unlinks()

    def _retry_unlinks(self) -> None:
        """Unlink sealed segments; Windows refuses while a reader has one open, so it is tried again."""
        if not self._unlink_later:
            return
        left: list[Path] = []
        for path in self._unlink_later:
            try:
                self._files.unlink(path)
            except FileNotFoundError:
                pass
            except PermissionError:
                left.append(path)
        self._unlink_later = left
        self._files.sync_directory(self._layout.hot)

    def _die(self, error: OSError) -> LogDead:
        dead = dead_at(self._writer.path, error)
        self._dead = str(dead)
        return dead

    def _refuse(self) -> NoReturn:
        raise LogDead(f"{self._layout.root}: the log accepts nothing more: {self._dead}")


class _Fatal:
    """Translate any `OSError` inside into the death of the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise self._journal._die(error) from error
        if isinstance(error, LogDead):
            self._journal._dead = str(error)


def dead_at(path: Path, error: OSError) -> LogDead:
    """Return the end of a journal that the system refused something, at `path` if it does not say where."""
    place = error.filename if isinstance(error.filename, str | Path) else path
    return LogDead(
        f"{place}: {error.strerror or error} (errno {error.errno}); the log stops here, nothing is "
        "retried: check the disk, then start again"
    )


def take_lock(layout: Layout, files: Files, clock: Callable[[], int]) -> Lock:
    """Make the log if there is none, and return its lock.

    Raises `LogLocked`, or `StoreError` if the directory cannot be made or is something else.
    """
    try:
        if foreign := layout.foreign():
            some = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
            raise StoreError(
                f"{layout.root}: holds {some} but no log, and a log needs a directory of its own; "
                "choose another --log"
            )
        layout.create()
    except OSError as error:
        raise StoreError(
            f"{error.filename}: cannot be made: {error.strerror}; choose another --log"
        ) from error
    return Lock.acquire(layout, files, clock=clock)
