"""Fault scripts: what goes wrong, and when. Pure: parsing, checking, counting; mischief.py has the acts.

A script is TOML (`[[fault]]` tables with `when` and `do`), JSON (a list of such objects), or one line of text
such as `order 2: reset processed=false; fill 1: drop message=commissionReport`. docs/gateway.md lists all.
"""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from core.errors import ConfigError

COUNTED = ("connect", "start", "subscribe", "history", "order", "modify", "cancel", "fill", "ticks", "events")
"""What a trigger may count, beside `time HH:MM[:SS]`."""

ACTS: dict[str, dict[str, Any]] = {
    "close": {"run": ""},
    "reset": {"processed": True, "run": ""},
    "mute": {},
    "freeze": {"seconds": 1.0},
    "deaf": {"seconds": 1.0},
    "split": {"bytes": 1, "pause": 0.001},
    "coalesce": {"frames": 8},
    "burst": {"bytes": 4096, "quiet": 1.5, "inside": False},
    "cut": {"bytes": 7},
    "garbage": {"kind": "number"},
    "error": {"code": 0, "text": "", "about": "order"},
    "refuse": {"code": 0, "text": ""},
    "notices": {"codes": "2103,2104"},
    "ids": {"back": 5},
    "outage": {"run": "", "end": 1102, "deliver": False},
    "run": {"span": "1 D"},
    "restart": {"seconds": 0.5, "back": 0, "run": ""},
    "skew": {"seconds": 3600.0},
    "halt": {"instrument": "", "on": True},
    "no_quote": {"instrument": ""},
    "delayed": {"type": 3},
    "unset": {},
    "pace": {},
    "version": {"to": 176},
    "swap": {"hold": "openOrder,orderStatus", "until": "execDetails"},
    "drop": {"message": "orderStatus", "count": 1},
    "repeat": {"message": "orderStatus", "times": 4, "count": 1},
    "late": {"message": "commissionReport", "behind": 10},
    "alter": {"message": "commissionReport", "field": 3, "value": "0"},
    "correct": {"by": "0.01"},
    "fill_after_cancel": {},
    "fork": {},
}
"""Every act with its options and their defaults; an option's type is that of its default."""

KINDS = {"number", "length", "truncated"}


class Fault(msgspec.Struct, frozen=True):
    """One line of a script: `when` is a trigger and a count (or a clock time), `do` an act with options."""

    when: str
    count: int
    clock: str
    do: str
    options: dict[str, Any]

    def __str__(self) -> str:
        told = " ".join(
            f"{key}={value}" for key, value in self.options.items() if value != ACTS[self.do][key]
        )
        return f"{self.when} {self.clock or self.count}: {self.do} {told}".strip()


class Faults:
    """A script being played: counts what happens and says what is due."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self.pending = list(faults)
        self.fired: list[Fault] = []
        self._counts: dict[str, int] = {}

    def add(self, faults: tuple[Fault, ...]) -> None:
        """Add faults to the script; counts go on from where they are."""
        self.pending += faults

    def count(self, what: str, by: int = 1) -> list[Fault]:
        """Count something that happened; return the faults that are due with it, once each."""
        if not self.pending:
            return []
        reached = self._counts[what] = self._counts.get(what, 0) + by
        return self._due(lambda fault: fault.when == what and not fault.clock and fault.count <= reached)

    def at(self, clock: str) -> list[Fault]:
        """Return the faults that are due at a clock time `HH:MM:SS`, once each."""
        return self._due(lambda fault: bool(fault.clock) and fault.clock <= clock)

    @property
    def waits_for_time(self) -> bool:
        """Whether any fault is due at a clock time."""
        return any(fault.clock for fault in self.pending)

    def _due(self, is_due: Any) -> list[Fault]:
        found = [fault for fault in self.pending if is_due(fault)]
        self.pending = [fault for fault in self.pending if fault not in found]
        self.fired += found
        return found


def parse(text: str, where: str = "faults") -> tuple[Fault, ...]:
    """Read a script; raises `ConfigError` naming every problem."""
    stripped = text.strip()
    if not stripped:
        return ()
    problems: list[str] = []
    try:
        raw = _raw(stripped)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise ConfigError(f"{where}: {error}") from error
    faults = [_fault(each, f"{where}: fault {n}", problems) for n, each in enumerate(raw, 1)]
    if problems:
        raise ConfigError("\n".join(problems))
    return tuple(fault for fault in faults if fault is not None)


def _raw(text: str) -> list[Mapping[str, Any]]:
    if text.startswith(("[[", "#")) or "\n[[" in text:
        return list(tomllib.loads(text).get("fault", []))
    if text[0] in "[{":
        found = msgspec.json.decode(text)
        return list(found.get("fault", [])) if isinstance(found, dict) else list(found)
    return [_inline(part) for part in text.replace("\n", ";").split(";") if part.strip()]


def _inline(part: str) -> dict[str, Any]:
    # The clock of `time 10:30` has colons of its own: the separator is the one before a space.
    when, _, rest = part.strip().partition(": ")
    words = rest.split()
    options: dict[str, Any] = {}
    for word in words[1:]:
        key, _, value = word.partition("=")
        options[key] = value.replace("_", " ") if key in ("run", "span", "text") else value
    return {"when": when.strip(), "do": words[0] if words else "", **options}


def _fault(raw: Mapping[str, Any], place: str, problems: list[str]) -> Fault | None:
    given = dict(raw)
    when, do = str(given.pop("when", "")), str(given.pop("do", ""))
    before = len(problems)
    what, count, clock = _trigger(when, place, problems)
    if do not in ACTS:
        problems.append(f"{place}: do = {do!r}: expected one of {', '.join(ACTS)}{_near(do, ACTS)}")
        return None
    options = {**ACTS[do]}
    for key, value in given.items():
        if key not in options:
            allowed = ", ".join(options) or "no option"
            problems.append(f"{place}: {do} has no option {key!r}; it takes {allowed}{_near(key, options)}")
            continue
        converted = _converted(value, ACTS[do][key])
        if converted is None:
            kind = type(ACTS[do][key]).__name__
            problems.append(f"{place}: {do}: {key} = {value!r}: expected {kind}")
        else:
            options[key] = converted
    if do == "garbage" and options["kind"] not in KINDS:
        problems.append(f"{place}: garbage: kind = {options['kind']!r}: expected one of {sorted(KINDS)}")
    return Fault(what, count, clock, do, options) if len(problems) == before else None


def _trigger(when: str, place: str, problems: list[str]) -> tuple[str, int, str]:
    what, _, number = when.partition(" ")
    if what == "time" and number.count(":") in (1, 2) and number.replace(":", "").isdecimal():
        return what, 0, number if number.count(":") == 2 else f"{number}:00"
    if what in COUNTED and (not number or (number.isdecimal() and int(number) > 0)):
        return what, int(number or 1), ""
    problems.append(
        f"{place}: when = {when!r}: expected time HH:MM:SS or one of {', '.join(COUNTED)} with a number, "
        f"such as order 2{_near(what, COUNTED)}"
    )
    return "", 0, ""


def _converted(value: Any, like: Any) -> Any:
    try:
        if isinstance(like, bool):
            return (
                value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
            )
        if isinstance(like, int | float):
            return type(like)(value)
    except (TypeError, ValueError):
        return None
    return str(value)


def _near(given: str, known: Any) -> str:
    near = get_close_matches(given, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
