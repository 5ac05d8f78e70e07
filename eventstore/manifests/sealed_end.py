"""The sealed end of a log: which segments are sealed, and what each segment that is still hot follows.

Manifests are read from the last one back to the first that ends before the hot segments; of the directories
before it the names are enough, which must follow each other. Knows no byte of the journal; reads only.
"""

from pathlib import Path

from core.errors import CorruptLog
from eventstore.layout import Layout, sealed_range
from eventstore.manifests.catalogue import Catalogue
from eventstore.manifests.manifest import SealedPart, SealedSegment


class SealedEnd:
    """The sealed segments from the last one before `first_hot` on, or all of them if `whole`."""

    def __init__(self, layout: Layout, first_hot: int | None, *, whole: bool) -> None:
        def enough(part: SealedPart) -> bool:
            return not whole and (first_hot is None or part.manifest.segments[0].number < first_hot)

        self._sealed = layout.sealed
        self._unread, self.parts = Catalogue(layout.root).ending(enough)
        self._segments = {s.number: s for part in self.parts for s in part.manifest.segments}
        self._following = {s.previous_number: s for s in self._segments.values()}

    def store(self) -> bytes | None:
        """Return the log that they belong to, if any is sealed; raises `CorruptLog` if they disagree."""
        found: bytes | None = None
        for part in self.parts:
            store = bytes.fromhex(part.manifest.store)
            if found not in (None, store):
                raise CorruptLog(f"{part.path}: belongs to another log ({store.hex()}); move it away")
            found = store
        return found

    def segment(self, number: int) -> SealedSegment | None:
        """Return what is sealed of segment `number`."""
        return self._segments.get(number)

    @property
    def last_number(self) -> int:
        """The number of the last sealed segment; 0 if there is none."""
        return max(self._segments, default=0)

    def following(self, number: int) -> SealedSegment | None:
        """Return the sealed segment that was written after segment `number`."""
        return self._following.get(number)

    def before(self, number: int) -> SealedSegment | None:
        """Return the last sealed segment with a smaller number."""
        return max((s for n, s in self._segments.items() if n < number), key=lambda s: s.number, default=None)

    def check_names(self) -> int:
        """Check that what was not read begins at seq 1 without a gap; return the last seq of it."""
        last_seq = 0
        for path in self._unread:
            span = sealed_range(path)
            assert span is not None, path
            self.check_follows(path, span[0], last_seq + 1)
            last_seq = span[1]
        return last_seq

    def check_follows(self, path: Path, first_seq: int, expected: int) -> None:
        """Raise `CorruptLog` if a directory begins at another seq than the one after what is before it."""
        if first_seq != expected:
            raise CorruptLog(
                f"{self._sealed}: seqs {expected}..{first_seq - 1} are missing before {path.name}; "
                "restore that directory"
            )
