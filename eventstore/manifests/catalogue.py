"""Which sealed directories hold a log, and their manifests as far as they are asked for.

Directories are self-describing: there is no list of them that could go out of step. Their names state their
seqs, so `spans` reads no manifest, and who goes through them reads those that it comes to. Names do not state
times: who asks for times has the manifests read. After a compaction that was interrupted, a wider directory
hides those inside it. That the ranges tile 1..N is for others to judge, who know what the journal holds.
Reading only.
"""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from core.errors import CorruptLog
from eventstore.layout import MANIFEST_NAME, Layout, sealed_range
from eventstore.manifests.manifest import SealedPart, read_manifest

_MAX_RETRIES = 100
_MAX_SEQ = 1 << 62
_ADVICE = "no event can be read without it; next: tape verify, which says whether it can be made again"


class Catalogue:
    """The sealed directories of a log; manifests are read once and kept, listing is done anew each time."""

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)
        self._known: dict[str, SealedPart] = {}

    def spans(self, first_seq: int = 1, last_seq: int = _MAX_SEQ) -> list["Span"]:
        """Return the directories that hold any of these seqs, in seq order, without those inside a wider one.

        Raises `CorruptLog` if any two overlap otherwise. Gaps are for the reader to judge.
        """
        return [s for s in self._listing() if s.first_seq <= last_seq and first_seq <= s.last_seq]

    def part(self, span: "Span") -> SealedPart:
        """Return a directory with its manifest.

        Raises `CorruptLog`, and `FileNotFoundError` if a compaction has removed it since it was listed.
        """
        found = self._part(span.path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(span.path))
        return found

    def parts(self, first_seq: int = 1, last_seq: int = _MAX_SEQ) -> list[SealedPart]:
        """Return the directories of `spans`, each with its manifest. Raises `CorruptLog`."""
        for _ in range(_MAX_RETRIES):
            spans = self.spans(first_seq, last_seq)
            parts = [part for span in spans if (part := self._part(span.path))]
            if len(parts) == len(spans):
                return parts
        raise self._vanishing()

    def ending(self, enough: Callable[[SealedPart], bool]) -> tuple[list[Path], list[SealedPart]]:
        """Return the last directories in seq order, back to the first one that is `enough`.

        Before them come the paths of the others, whose manifests were not read.
        """
        for _ in range(_MAX_RETRIES):
            paths = [span.path for span in self._listing()]
            parts = self._backwards(paths, enough)
            if parts is not None:
                return paths[: len(paths) - len(parts)], parts
        raise self._vanishing()

    def _backwards(
        self, paths: Sequence[Path], enough: Callable[[SealedPart], bool]
    ) -> list[SealedPart] | None:
        parts: list[SealedPart] = []
        for path in reversed(paths):
            part = self._part(path)
            if part is None:
                return None
            parts.append(part)
            if enough(part):
                break
        return parts[::-1]

    def _listing(self) -> list["Span"]:
        spans = _visible(stable_listing(self._layout))
        if known := self._known:
            shown = (span.path.name for span in spans)
            self._known = {name: known[name] for name in shown if name in known}
        return spans

    def _part(self, path: Path) -> SealedPart | None:
        known = self._known.get(path.name)
        if known is None:
            known = _read(path)
            if known is not None:
                self._known[path.name] = known
        return known

    def _vanishing(self) -> CorruptLog:
        return CorruptLog(f"{self._layout.sealed}: its directories keep vanishing while they are read")


def _read(path: Path) -> SealedPart | None:
    try:
        return SealedPart(path, read_manifest(path))
    except FileNotFoundError as error:
        if path.is_dir():
            raise CorruptLog(
                f"{path / MANIFEST_NAME}: missing: sealed data without a manifest; {_ADVICE}"
            ) from error
        return None  # removed by a compaction since it was listed
    except CorruptLog as error:
        raise CorruptLog(f"{error}; {_ADVICE}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise CorruptLog(f"{path / MANIFEST_NAME}: cannot be read: {why}; {_ADVICE}") from error


def stable_listing(layout: Layout) -> list[Path]:
    """Return the sealed directories as they were at one moment.

    A compaction makes the wider directory before it removes the narrower ones. One pass over a directory
    may miss the first and see the second; two passes that agree cannot.
    """
    names = layout.sealed_names()
    for _ in range(_MAX_RETRIES):
        again = layout.sealed_names()
        if again == names:
            return [layout.sealed / name for name in names]
        names = again
    raise CorruptLog(f"{layout.sealed}: it keeps changing while it is read")


def hidden(paths: Iterable[Path]) -> list[Path]:
    """Return the directories that a wider one hides, going by their names."""
    found: list[Path] = []
    reached = 0
    for span in _widest_first(paths):
        if span.last_seq <= reached:
            found.append(span.path)
        reached = max(reached, span.last_seq)
    return found


def _visible(paths: Iterable[Path]) -> list["Span"]:
    """Return the directories in seq order without those inside a wider one, going by their names.

    Raises `CorruptLog` if two overlap otherwise.
    """
    shown: list[Span] = []
    for span in _widest_first(paths):
        if shown and span.last_seq <= shown[-1].last_seq:
            continue
        if shown and span.first_seq <= shown[-1].last_seq:
            raise CorruptLog(
                f"{span.path}: overlaps {shown[-1].path.name}: seq {span.first_seq} is sealed twice"
            )
        shown.append(span)
    return shown


class Span(NamedTuple):
    """A sealed directory, and the seqs that its name states."""

    first_seq: int
    last_seq: int
    path: Path


def _widest_first(paths: Iterable[Path]) -> list[Span]:
    spans = [Span(*span, path) for path in paths if (span := sealed_range(path))]
    return sorted(spans, key=lambda span: (span.first_seq, -span.last_seq))
