"""Where two runs part: the first decision that differs, in words and with the input it was made at.

Ids are left out of the comparison, as in `decisions_hash`: they number a session's orders. Reads only.
"""

from collections.abc import Sequence

import msgspec

from app.values import cell, when
from core.events import BY_TAG, Entry, Event, types_of
from core.ports import RUN_BASE, entries_of
from eventstore.runs.proof import NOT_PROVEN
from eventstore.runs.reader import RunReader

_DECISIONS = types_of("decision")
_TIMES = frozenset({"ts", "good_till"})


class Difference(msgspec.Struct, frozen=True):
    """The first difference: which decision (from 1), what it was in either run, and at which input."""

    number: int
    text: str
    first: str | None
    second: str | None
    first_at: int | None
    second_at: int | None


class Comparison(msgspec.Struct, frozen=True):
    """Two runs side by side; `difference` is `None` if they decide alike."""

    first: str
    second: str
    decisions: tuple[int, int]
    same_run_hash: bool
    same_decisions: bool
    difference: Difference | None


def compare(first: RunReader, second: RunReader) -> Comparison:
    """Compare the decisions of two runs in order; equal hashes of one version need no reading."""
    keys = ("decisions_hash", "hash_version")
    if all(first.summary.get(key) == second.summary.get(key) for key in keys):
        count = sum(n for tag, n in first.summary["types"].items() if BY_TAG[tag].type in _DECISIONS)
        same = first.summary["run_hash"] == second.summary["run_hash"]
        return Comparison(first.id, second.id, (count, count), same, same_decisions=True, difference=None)
    before, after = _decisions(first), _decisions(second)
    difference = first_of(before, after)
    return Comparison(
        first.id,
        second.id,
        (len(before), len(after)),
        first.summary["run_hash"] == second.summary["run_hash"],
        difference is None,
        difference,
    )


def first_difference(recorded: RunReader, now: RunReader) -> str:
    """Return in words where the decisions of two runs part; empty if they do not."""
    difference = compare(recorded, now).difference
    return difference.text if difference is not None else ""


def first_of(before: Sequence[Entry], after: Sequence[Entry]) -> Difference | None:
    """Return where two series of decisions part, or `None`."""
    for number, (one, other) in enumerate(zip(before, after, strict=False), 1):
        changed = _changed(one.event, other.event)
        if changed:
            return _difference(number, f"decision {number} differs: {changed}", one, other)
    if len(before) == len(after):
        return None
    number = min(len(before), len(after)) + 1
    extra = (before if len(before) > len(after) else after)[number - 1]
    if len(before) > len(after):
        return _difference(number, f"decision {number} is only in the first run: {extra.event}", extra, None)
    return _difference(number, f"decision {number} is only in the second run: {extra.event}", None, extra)


def _difference(number: int, text: str, one: Entry | None, other: Entry | None) -> Difference:
    return Difference(
        number,
        text,
        str(one.event) if one else None,
        str(other.event) if other else None,
        _input(one),
        _input(other),
    )


def _input(entry: Entry | None) -> int | None:
    return None if entry is None else entry.at


def _decisions(run: RunReader) -> Sequence[Entry]:
    return list(entries_of(run, _DECISIONS))


def _changed(one: Event, other: Event) -> str:
    if type(one) is not type(other):
        return f"was {one}, is {other}"
    fields = [
        f"{name} was {_worded(name, getattr(one, name))} and is {_worded(name, getattr(other, name))}"
        for name in one.__struct_fields__
        if name not in NOT_PROVEN and getattr(one, name) != getattr(other, name)
    ]
    return f"{type(one).__name__}: {'; '.join(fields)}" if fields else ""


def _worded(name: str, value: object) -> str:
    """Return a field's value in words: times as times, amounts as amounts, texts in quotes."""
    if name in _TIMES and isinstance(value, int):
        return when(value)
    return repr(value) if isinstance(value, str) else cell(value) or "nothing"


def named_input(at: int | None) -> str:
    """Return the input of a decision in words."""
    if at is None:
        return "nothing"
    return f"event {at} of the run" if at > RUN_BASE else f"input {at} of the log"
