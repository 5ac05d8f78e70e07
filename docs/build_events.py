"""Write docs/events.md from the event types themselves: `python docs/build_events.py`.

Prose that explains a class of events is here; what one event means is its docstring. A test compares
the file with what this prints, so neither can fall behind the code.
"""
# ruff: noqa: E501  # lines of Markdown: a table row is one line

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.events import BY_TAG, EventType

TARGET = Path(__file__).with_name("events.md")

INTRO = """# Events

Everything that happened is an event on the log, and everything else is computed from them. This page
lists every type. It is written by `python docs/build_events.py` from the types in `core/events/`.

## The envelope

| field | meaning |
|---|---|
| `seq` | the place in the log: 1, 2, 3 … without gaps. Log order is processing order. In a run, seqs start at 2^40 + 1 |
| `ts` | the time the event speaks of, in nanoseconds since 1970 UTC; of a bar its *end*. It explains, it never orders |
| `recv` | when the log took the event in (ns UTC). Strategies cannot see it; runs do not have it |
| `at` | the seq of the input that was being processed. An input has `at = seq` |
| `cause` | outputs only: the seq of the decision or send that this event follows from |

`type` below is the stored tag. Tags and versions never change their meaning: a new field has a default, a changed
meaning is a new version. Amounts of orders, fills, commissions and cash are exact decimals, at most eight places;
market data are 64-bit floats as received. A `?` marks a field that may be empty.
"""

CLASSES: dict[str, tuple[str, str]] = {
    "market": (
        "Market data and what is needed to read them",
        "The only class that a backtest reads. Fields of the high-volume types `trade`, `quote`, `bar` and `quote_bar` are only ever added at the end.",
    ),
    "decision": (
        "Decisions",
        "What strategies and the risk rules decide. A proof compares these, one by one, with those of the recorded session.",
    ),
    "effect": (
        "Effects",
        "What came of an attempt to act on the world. An unclear outcome is recorded as unclear.",
    ),
    "broker": (
        "What the broker says",
        "Facts from outside. They join by order id and execution id and may come late, twice or out of order.",
    ),
    "timer": ("Timers", "A backtest makes its own, before the first event whose time is not earlier."),
    "operator": ("Operator", "What a person decided."),
    "session": ("Sessions", "What frames a live session or a replay, with all that is needed to repeat it."),
    "storage": (
        "Housekeeping of the log",
        "Written by the log itself and by imports; no strategy sees them.",
    ),
}


def render() -> str:
    """Return the whole page."""
    parts = [INTRO]
    for name, (title, text) in CLASSES.items():
        parts.append(f"## {title}\n\nClass `{name}`. {text}\n")
        parts += [_event(entry) for entry in BY_TAG.values() if entry.event_class == name]
    return "\n".join(parts)


def _event(entry: EventType) -> str:
    doc = "\n".join(line.strip() for line in (entry.type.__doc__ or "").strip().splitlines())
    hints = get_type_hints(entry.type)
    rows = [
        f"| `{field.name}` | {_type(hints[field.name])} | {_default(field)} |"
        for field in msgspec.structs.fields(entry.type)
        if field.name != "ts"
    ]
    table = "\n".join(["| field | type | default |", "|---|---|---|", *rows])
    version = "" if entry.version == 1 else f", version {entry.version}"
    return f"### {entry.type.__name__}\n\nType `{entry.tag}`{version}. {doc}\n\n{table}\n"


def _type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " · ".join(f"`{value}`" for value in get_args(kind))
    arguments = get_args(kind)
    if arguments:
        named = [item for item in arguments if item is not type(None)]
        return "".join(_type(item) for item in named) + ("?" if len(named) < len(arguments) else "")
    return {"str": "text", "int": "integer", "Decimal": "decimal", "bool": "yes or no"}.get(
        kind.__name__, kind.__name__
    )


def _default(field: Any) -> str:
    if field.required:
        return ""
    return "empty" if field.default in ("", None) else f"`{field.default}`"


if __name__ == "__main__":
    TARGET.write_text(render(), "utf-8")
