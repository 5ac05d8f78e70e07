"""Large texts in bounded memory: how many rows there are, and the rows in pieces cut at line ends."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Piece(NamedTuple):
    """Some lines of `file`, the first of them numbered `first_line`; `rows` of them are rows."""

    data: bytes
    file: str
    first_line: int
    rows: int


class LineCount:
    """Counts rows: the last one may lack its newline, blank ends do not count."""

    def __init__(self) -> None:
        self.rows = 0
        self._newlines = 0

    def add(self, data: bytes) -> None:
        """Take the next part of the text."""
        body = data.rstrip(b"\r\n")
        if body:
            self.rows = self._newlines + body.count(b"\n") + 1
        self._newlines += data.count(b"\n")


def cut(read: Callable[[], bytes], rows: int) -> Iterator[tuple[bytes, int]]:
    """Yield the text that `read` gives in parts (`b""` at its end) as whole lines, with the rows in each.

    What comes after `rows` lines is left out.
    """
    rest: list[bytes] = []
    while rows:
        data = read()
        end = data.rfind(b"\n") + 1
        if data and not end:
            rest.append(data)
            continue
        lines, rest = b"".join([*rest, data[:end]]), [data[end:]]
        assert lines, "fewer rows than were counted"
        inside = min(rows, lines.count(b"\n") + (not lines.endswith(b"\n")))
        rows -= inside
        yield lines, inside


def numbered(pieces: Iterable[tuple[bytes, int]], file: str, first_line: int) -> Iterator[Piece]:
    """Give each piece its place in its file."""
    for data, rows in pieces:
        yield Piece(data, file, first_line, rows)
        first_line += rows
