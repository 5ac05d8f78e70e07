"""A replay's source whose reading is watched: how far it is, after each batch."""

from collections.abc import Callable, Iterable, Iterator

from adapters.replay.deriving import DerivedSource
from adapters.replay.source import LogSource
from core.events import Event

Progress = Callable[[int, int], None]
"""Called with the inputs taken and the inputs expected."""


class WatchedSource:
    """A source that reports its progress after each batch."""

    def __init__(
        self, source: LogSource, inputs: DerivedSource | LogSource, expected: int, progress: Progress | None
    ) -> None:
        self._source = source
        self._inputs = inputs
        self._expected = expected
        self._progress = progress

    def batches(self) -> Iterator[Iterable[tuple[int, Event]]]:
        """Yield the batches of the source."""
        for batch in self._inputs.batches():
            yield batch
            if self._progress is not None:
                self._progress(self._source.read, self._expected)
