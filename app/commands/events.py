"""`events`, `why`: what happened, in the order of the log and by cause."""

import shlex
import time
from typing import Any, NamedTuple

import click

from app.commands.base import COUNT, Call, verb
from app.commands.look import book_of, narrowing, run_option, same_run
from app.values import when
from core.errors import UsageError

_FLUSHED = 1_000
_POLL_S = 0.2
_LIMIT = 50
_NO_TIME = "–"
"""What the table shows of an event that speaks of no time: its `ts` is 0."""
_VALUE_MAX = 100
"""A table of events cuts longer values, such as a session's whole configuration; `--json` has all of them."""


@verb("why", examples=("tape why F-1",))
@click.argument("name", metavar="ID")
@run_option
def why(call: Call, run: str | None, name: str) -> None:
    """Show the chain that an order, execution or seq ID belongs to: from the tick to the commission."""
    from app.look import looking  # noqa: PLC0415
    from app.look.chain import chain  # noqa: PLC0415

    book = book_of(call, run)
    links = chain(book, name)
    rows = [{"role": link.role, **looking.event_row(link.entry, when(link.entry.event.ts))} for link in links]
    call.out.result({"id": name, "book": book.label, "chain": rows})
    call.out.line(f"{name} in {book.label}\n")
    for link in links:
        entry = link.entry
        call.out.line(f"{link.role:<11} {when(entry.event.ts):<31} seq {entry.seq}")
        call.out.line(f"            {looking.summary(entry.event)}")
    call.out.next(f"state --at {links[-1].entry.seq}" + same_run(run))


@verb("events", examples=("tape events --type filled --limit 3", "tape events --follow --json"))
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this type (`filled`); repeat for more."
)
@narrowing
@click.option("--from", "first", metavar="SEQ|TIME", help="From this seq (a number) or time on.")
@click.option("--to", "last", metavar="SEQ|TIME", help="Up to and with this seq or time.")
@click.option("--limit", default=_LIMIT, show_default=True, type=COUNT, help="At most so many; 0: all.")
@click.option(
    "--follow",
    is_flag=True,
    help="Wait for more of the log, until interrupted; with --json one object a line.",
)
@run_option
def events(
    call: Call,
    run: str | None,
    types: tuple[str, ...],
    instrument: str | None,
    strategy: str | None,
    first: str | None,
    last: str | None,
    limit: int,
    follow: bool,
) -> None:
    """List events in the order of the log: the first ones that match."""
    from itertools import islice  # noqa: PLC0415

    from app.look import looking  # noqa: PLC0415

    if follow and run not in (None, "log"):
        raise UsageError(
            f"--follow --run {run}: a run is complete, nothing more comes; leave out one of them"
        )
    book = book_of(call, "log" if follow else run)
    chosen = looking.EventFilter(
        types=looking.event_types(types),
        instrument=instrument,
        strategy=strategy,
        **looking.bounds(first, last),
    )
    if follow:
        _follow(call, book, chosen, limit)
        return
    found = list(islice(looking.events(book, chosen), limit + 1 if limit else None))
    shown = found[:limit] if limit else found
    if not found:
        looking.check_names(book, instrument=instrument, strategy=strategy)
    _show(call, book, chosen, shown)
    asked = _Asked(types, limit, instrument=instrument, strategy=strategy, run=run, first=first, last=last)
    _show_next(call, book, chosen, asked, found[len(shown) :] if shown else None)


def _show(call: Call, book: Any, chosen: Any, entries: list[Any]) -> None:
    """Print entries as a table or as JSON, and a note where they are not what a user may expect."""
    from app.look import looking  # noqa: PLC0415

    rows = [looking.event_row(entry, when(entry.event.ts)) for entry in entries]
    call.out.result(rows)
    cells = [
        (
            row["seq"],
            row["time"] if row["ts"] else _NO_TIME,
            row["type"],
            looking.summary(e.event, value_max=_VALUE_MAX),
        )
        for row, e in zip(rows, entries, strict=True)
    ]
    call.out.table(["seq", "time", "type", "event"], cells) if cells else call.out.line("no such events")
    note = looking.source_note(book, chosen)
    if cells and note:
        call.out.note(note)
    elif not cells and chosen.by_seq:
        call.out.note(f"{book.label}: {book.seqs()}")


class _Asked(NamedTuple):
    """The options of one `events`, to write them again with some of them changed."""

    types: tuple[str, ...]
    limit: int
    instrument: str | None = None
    strategy: str | None = None
    run: str | None = None
    last: str | None = None
    first: str | None = None

    def again(self, **changed: Any) -> str:
        """Return the command."""
        told = self._replace(**changed)
        narrow = [part for name in told.types for part in ("--type", name)]
        options = {
            "--instrument": told.instrument,
            "--strategy": told.strategy,
            "--run": told.run,
            "--to": told.last,
            "--limit": None if told.limit == _LIMIT else str(told.limit),
            "--from": told.first,
        }
        narrow += [part for option, value in options.items() if value for part in (option, value)]
        return shlex.join(["events", *narrow])


def _show_next(call: Call, book: Any, chosen: Any, asked: _Asked, rest: list[Any] | None) -> None:
    """Say what to ask next; `rest` begins with the first entry beyond the limit, `None` if none was found."""
    from app.look import looking  # noqa: PLC0415

    note = looking.source_note(book, chosen)
    if rest:
        call.out.next(asked.again(first=str(rest[0].seq)), why="there are more; ")
    elif rest is None and note:
        call.out.next(asked.again(first=None, last=None), why=f"{note}; ")
    elif rest is None and book.run is not None:
        why = f"{book.label} has its own events, market data are the log's; "
        call.out.next(asked.again(run="log"), why=why)
    else:
        call.out.next("sql 'SELECT type, count(*) FROM events GROUP BY type'")


def _follow(call: Call, book: Any, chosen: Any, limit: int) -> None:
    """Print entries as they come: a batch at a time, each batch at once."""
    from itertools import islice  # noqa: PLC0415

    from app.look import looking  # noqa: PLC0415

    def wait() -> bool:
        time.sleep(_POLL_S)
        return bool(book.log.last_seq() < chosen.last_seq)

    line = looking.json_line if call.out.as_json else _text_line
    followed = book.log.follow(chosen.first_seq, wait, chosen.selection())
    entries = (filter(chosen.accepts, batch) for batch in followed)
    left = limit or None
    for batch in entries:
        while lines := [line(entry, when(entry.event.ts)) for entry in islice(batch, _left(left))]:
            call.out.lines("\n".join(lines))
            left = left and left - len(lines)
            if left == 0:
                return


def _left(limit: int | None) -> int:
    return _FLUSHED if limit is None else min(limit, _FLUSHED)


def _text_line(entry: Any, time_: str) -> str:
    from app.look import looking  # noqa: PLC0415

    row = looking.event_row(entry, time_)
    return f"{entry.seq}  {time_}  {row['type']}  {looking.summary(entry.event)}"
