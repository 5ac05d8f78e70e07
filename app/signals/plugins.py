"""A user's source of signals, asked: `generate_signal`, `load_custom_recommendations` or `predict`.

Runs in a process of its own (`app.signals.child`), never in the session's. What the code raises is named with
file and line; what it says is read as strictly as a file. Writes nothing.
"""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from adapters.replay.importing import digest_of
from adapters.replay.signals.cells import Cells
from adapters.replay.signals.headings import FIELDS
from adapters.replay.signals.market import Market
from adapters.replay.signals.reading import read_cells
from adapters.replay.signals.recommendations import SignalOptions
from adapters.replay.signals.sheetxml import ROWS_MAX
from app.configuration.reading import Config
from app.plugins.discovery import Found, find_plugin, place_of, source_file
from app.plugins.kinds import SIGNAL_METHODS, SIGNAL_SOURCES
from app.signals.models import ModelSpec, ask, load_model
from app.signals.reading import options_of
from core.clock import SECOND_NS, iso
from core.errors import UsageError
from core.events import InstrumentDefined, RowRejected, SignalReceived
from core.signals.opinions import opinion_of
from core.signals.rules import problem

EXPECTED_ROWS = "a list or dict of symbols and weights (or scores), or a DataFrame with such columns"


class PluginOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask and how. `method` is found out if it has only one; `argument` goes to recommendations.

    `model` says that it is one, whatever else its file has.

    `valid_ns` is how long an opinion of `generate_signal` holds; the rest follows `options`.
    """

    path: str
    options: SignalOptions
    method: str = ""
    argument: str = ""
    instruments: tuple[str, ...] = ()
    valid_ns: int = 0
    cpu_s: int = 30
    model: bool = False


class Said(msgspec.Struct, frozen=True):
    """What came of asking."""

    digest: str
    items: list[SignalReceived | RowRejected]


def method_of(found: Found, wanted: str) -> str:
    """Return which of its methods to call; raises `UsageError` if that is open or it has no such."""
    item = found.item
    own = [name for name in SIGNAL_METHODS if callable(getattr(item, name, None))]
    has = own if isinstance(item, type) else [item.__name__]
    if wanted and wanted not in has:
        raise UsageError(f"{found.name}: has no {wanted}; it has {', '.join(has)}")
    if not wanted and len(has) > 1:
        raise UsageError(f"{found.name}: has {' and '.join(has)}; say which: method = {has[0]!r}")
    return wanted or has[0]


def ask_plugin(order: PluginOrder, market: Market) -> Said:
    """Load the plug-in and ask it; raises `UsageError` for what concerns all of its answer."""
    if order.model:
        return _forecasts(order, market)
    found = find_plugin(SIGNAL_SOURCES, order.path)
    method = method_of(found, order.method)
    if method == "predict":
        return _forecasts(order, market)
    call = found.item
    if isinstance(call, type):
        call = getattr(_guarded(found, found.item), method)
    if method == "generate_signal":
        return Said(
            found.source, [_opinion(found, call, one, order, market) for one in _asked(order, market)]
        )
    said = _guarded(found, call, order.argument)
    return Said(found.source, _recommended(found, said, order, market))


def plugin_models(config: Config) -> list[ModelSpec]:
    """Return the configured plug-ins that are models: they can be asked of the past too."""
    return [
        ModelSpec(one.path, options_of(config, source=one.source), tuple(one.instruments))
        for one in config.settings.signals.plugin
        if method_of(find_plugin(SIGNAL_SOURCES, one.path), one.method or "") == "predict"
    ]


def _guarded(found: Found, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a user's code returns; raises `UsageError` that names the place where it raised."""
    try:
        return call(*arguments)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        path = source_file(found.item)
        place = place_of(error, path.resolve()) if path else found.origin
        raise UsageError(f"{place}: raised {type(error).__name__}: {error}") from error


def _asked(order: PluginOrder, market: Market) -> list[InstrumentDefined]:
    known = {one.instrument: one for one in market.instruments}
    unknown = [name for name in order.instruments if name not in known]
    if unknown:
        raise UsageError(f"{order.path}: instrument {unknown[0]!r} is not in the log")
    return [known[name] for name in order.instruments] or list(market.instruments)


# -- generate_signal(symbol) -------------------------------------------------------------------


def _opinion(
    found: Found, call: Callable[[str], Any], one: InstrumentDefined, order: PluginOrder, market: Market
) -> SignalReceived | RowRejected:
    theirs = {ours: symbol for symbol, ours in order.options.symbols.items()}
    symbol = theirs.get(one.instrument, one.symbol)
    now, source = market.now, order.options.source
    try:
        value, confidence = opinion_of(_guarded(found, call, symbol))
    except (UsageError, ValueError) as error:
        return RowRejected(now, _name(found), 0, f"{symbol}: {error}", symbol)
    detail = f"generate_signal({symbol!r})"
    expires = now + order.valid_ns
    signal = SignalReceived(now, source, one.instrument, value, confidence, now, 0, expires, detail)
    wrong = problem(signal)
    return signal if wrong is None else RowRejected(now, _name(found), 0, f"{symbol}: {wrong}", symbol)


# -- predict(window) ---------------------------------------------------------------------------


def _forecasts(order: PluginOrder, market: Market) -> Said:
    """Ask a model at the last close; the digest is that of its code and of what it said."""
    past = sorted(day.date for day in market.sessions if day.close <= market.now)
    if not past:
        raise UsageError(f"{order.path}: no session in this log has closed yet")
    loaded = load_model(order.path)
    items = ask(loaded, market, order.options, past[-1], past[-1], order.instruments).items
    return Said(digest_of(loaded.digest.encode() + msgspec.json.encode(items)), items)


# -- load_custom_recommendations(source) -------------------------------------------------------


def _recommended(
    found: Found, said: Any, order: PluginOrder, market: Market
) -> list[SignalReceived | RowRejected]:
    try:
        heads, rows = table_of(said)
    except ValueError as error:
        raise UsageError(f"{found.name}: load_custom_recommendations {error}") from None
    if not rows:
        return []
    table = Cells(_name(found), "", [heads, *rows], lambda _line, _column: None)
    options = msgspec.structs.replace(order.options, day=_today(market), live=True)
    return read_cells([table], options, market).items


def table_of(said: Any) -> tuple[list[str], list[list[Any]]]:
    """Return headings and rows of what was said; raises `ValueError` in words."""
    if hasattr(said, "itertuples") and hasattr(said, "columns"):
        return _frame(said)
    if isinstance(said, dict):
        if said and all(isinstance(value, list | tuple) for value in said.values()):
            columns = list(said.values())
            return _bounded([str(key) for key in said], [list(row) for row in zip(*columns, strict=False)])
        pairs = [
            {"symbol": key, **value} if isinstance(value, dict) else (key, value)
            for key, value in said.items()
        ]
        return table_of(pairs)
    if not isinstance(said, list | tuple):
        raise ValueError(f"said {said!r:.60}: expected {EXPECTED_ROWS}")
    if all(isinstance(row, dict) for row in said):
        heads = list(dict.fromkeys(str(key) for row in said for key in row))
        return _bounded(heads, [[row.get(head) for head in heads] for row in said])
    if all(isinstance(row, list | tuple) and len(row) == 2 for row in said):
        return _bounded(["symbol", "weight"], [list(row) for row in said])
    odd = next(row for row in said if not isinstance(row, dict))
    raise ValueError(f"said a list with {odd!r:.60}: expected {EXPECTED_ROWS}")


def _frame(said: Any) -> tuple[list[str], list[list[Any]]]:
    heads = [str(head) for head in said.columns]
    rows = [list(row) for row in said.itertuples(index=False, name=None)]
    if not any(head.strip().lower() in FIELDS["symbol"] for head in heads):
        heads = ["symbol", *heads]
        rows = [[name, *row] for name, row in zip(said.index, rows, strict=True)]
    return _bounded(heads, rows)


def _bounded(heads: list[str], rows: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    if len(rows) > ROWS_MAX:
        raise ValueError(f"said {len(rows):,} rows: at most {ROWS_MAX:,}")
    return heads, [[_plain(value) for value in row] for row in rows]


def _plain(value: Any) -> Any:
    """Return numpy's scalars as Python's, and a missing time as nothing."""
    if isinstance(value, datetime) and value != value:  # noqa: PLR0124  # NaT
        return None
    return value.item() if hasattr(value, "item") and not isinstance(value, datetime | date) else value


def _today(market: Market) -> str:
    """Return the date that it is everywhere already where the log's instruments trade."""
    zones = {one.timezone for one in market.instruments} or {"UTC"}
    return min(iso(market.now // SECOND_NS * SECOND_NS, zone)[:10] for zone in sorted(zones))


def _name(found: Found) -> str:
    path, _, name = found.name.rpartition(":")
    return f"{Path(path).name}:{name}" if path else found.name
