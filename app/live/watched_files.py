"""Files of signals that a live session watches: polled, left to settle, read elsewhere, recorded as events.

A file is read in a process of its own (`app.signals.child`), with limits on its memory and time: whatever is
in it can neither block nor end trading. What it says becomes inputs at the time at which the session learns
of it. A file that was read before, by this session or an earlier one, is read again when its content changed.
One that is not there, cannot be read or says nothing that counts is told once, and again when that is over.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from adapters.replay.signals.recommendations import SignalOptions
from app.configuration.reading import Config
from app.live.reading import SAID_MAX, Reading, learnt
from app.signals.child import Answer, Order
from app.signals.reading import options_of
from app.signals.troubles import Troubles, trouble_of
from core.events import Event, SignalFileRead
from core.ports import EntryReader, entries_of

READ_S_MAX = 30.0
AGAIN_S = 60.0
"""How long after one that could not be read, such as one that another program holds, it is tried again."""


class WatchedFile(msgspec.Struct, frozen=True):
    """A file to watch, and how to read it."""

    path: str
    options: SignalOptions


class FilesToWatch(msgspec.Struct, frozen=True):
    """What `[signals]` says of watching."""

    files: tuple[WatchedFile, ...] = ()
    poll_s: float = 2.0
    settle_s: float = 2.0


def configured_files(config: Config) -> FilesToWatch:
    """Return the files that the configuration wants watched."""
    section = config.settings.signals
    files = tuple(WatchedFile(one.path, options_of(config, file=one, live=True)) for one in section.file)
    return FilesToWatch(files, section.poll_s, section.settle_s)


_Looks = tuple[int, int] | str | None


class _File:
    """One file: how it looked last, since when, and what of it was read; text is why it cannot be seen."""

    def __init__(self, watched: WatchedFile, known: set[str]) -> None:
        self.watched = watched
        self.known = known
        self.name = Path(watched.path).name
        self.seen: _Looks = None
        self.since = 0.0
        self.read: _Looks = None
        self.again_s: float | None = None
        self.bad: SignalFileRead | None = None

    def look(self, now_s: float, settle_s: float) -> bool:
        """Return whether the file has changed and has been still for long enough since.

        One that has vanished may be on its way, written aside and renamed: that has to settle too.
        """
        looks = self._looks()
        if looks != self.seen:
            self.seen, self.since = looks, now_s
        again = self.again_s is not None and now_s >= self.again_s
        return (again or looks != self.read) and now_s - self.since >= settle_s

    def _looks(self) -> _Looks:
        try:
            stat = Path(self.watched.path).stat()
        except OSError as error:
            return f"{self.name}: {error.strerror or error}; expected a file at {self.watched.path}"
        return stat.st_mtime_ns, stat.st_size

    def told(
        self, ts: int, digest: str = "", accepted: int = 0, rejected: int = 0, problem: str = ""
    ) -> SignalFileRead:
        source = self.watched.options.source
        return SignalFileRead(ts, source, self.name, digest, accepted, rejected, problem[:SAID_MAX])


class _Reading(Reading):
    """A file being read in another process."""

    def __init__(self, file: _File, root: Path, now: int, begun: float) -> None:
        self.file = file
        self.looks = file.seen
        order = Order(str(root), file.watched.path, file.watched.options, now, sorted(file.known))
        super().__init__(order, begun, READ_S_MAX, "reading it")


class SignalFiles:
    """Called by the source at each look, like the operator's commands; never blocks."""

    def __init__(
        self,
        root: Path,
        watch: FilesToWatch,
        reader: EntryReader,
        clock: Callable[[], float] = time.monotonic,
        troubles: Troubles | None = None,
    ) -> None:
        self.troubles = Troubles() if troubles is None else troubles
        self._root = root
        self._watch = watch
        self._clock = clock
        known = _known(reader) if watch.files else {}
        self._files = [_File(one, known.setdefault(one.options.source, set())) for one in watch.files]
        self._reading: _Reading | None = None
        self._next = 0.0

    def __call__(self, now: int) -> Sequence[Event]:
        """Return what was learnt from the files since the last call; one is read at a time."""
        if not self._files:
            return ()
        now_s = self._clock()
        if self._reading is not None:
            answer = self._reading.answer(now_s)
            if answer is None:
                return ()
            file, looks, self._reading = self._reading.file, self._reading.looks, None
            file.again_s = now_s + AGAIN_S if answer.again else None
            return self._learnt(file, looks, answer, now)
        if now_s >= self._next:
            self._next = now_s + self._watch.poll_s
            ripe = [file for file in self._files if file.look(now_s, self._watch.settle_s)]
            gone = [file for file in ripe if isinstance(file.seen, str)]
            if len(ripe) > len(gone):
                chosen = next(file for file in ripe if file not in gone)
                self._reading = _Reading(chosen, self._root, now, now_s)
            return [event for file in gone for event in self._gone(file, now)]
        return ()

    def _gone(self, file: _File, now: int) -> list[Event]:
        assert isinstance(file.seen, str)
        file.read, file.again_s = file.seen, None
        return self._tell(file.told(now, problem=file.seen))

    def _tell(self, told: SignalFileRead, *more: Event) -> list[Event]:
        """Return what is told of a file; a trouble that only goes on is told no second time."""
        trouble = trouble_of(told)
        if trouble and not more and trouble == self.troubles.of(told.source, told.file):
            return []
        self.troubles.note(told)
        return [told, *more]

    def _learnt(self, file: _File, looks: _Looks, answer: Answer, now: int) -> list[Event]:
        if answer.changing:
            return []  # written while it was read: looked at again
        file.read = looks
        if answer.same:  # it holds; whatever trouble it was in is over
            well = file.told(now, answer.digest)
            return self._tell(well) if self.troubles.of(well.source, well.file) else []
        if file.bad is not None and answer.digest == file.bad.digest != "":
            return self._tell(msgspec.structs.replace(file.bad, ts=now))  # its rows are in the log
        signals, rejections = learnt(answer, file.name, now)
        told = file.told(now, answer.digest, len(signals), len(rejections), answer.problem)
        file.bad = told if trouble_of(told) else None
        if answer.digest and file.bad is None:
            file.known.add(answer.digest)
        return self._tell(told, *rejections, *signals)

    def close(self) -> None:
        """End what is being read."""
        if self._reading is not None:
            self._reading.end()
            self._reading = None


def _known(reader: EntryReader) -> dict[str, set[str]]:
    """Return the digests of the contents that earlier sessions read, by source."""
    known: dict[str, set[str]] = {}
    for entry in entries_of(reader, frozenset({SignalFileRead})):
        told = entry.event
        # What had trouble is tried again: a symbol may have become known.
        if isinstance(told, SignalFileRead) and told.digest and not (told.problem or told.rejected):
            known.setdefault(told.source, set()).add(told.digest)
    return known
