"""Which column of a table is which field: by the user's mapping, else by the names people use.

Pure: headers in, a `Layout` out, or a refusal that names the columns there are.
"""

import difflib
from collections.abc import Mapping, Sequence

import msgspec

from adapters.replay.tables.files import Wanted
from core.errors import UsageError

KINDS = ("trades", "quotes", "bars")
_NUMBERS = {
    "trades": ("price", "size"),
    "quotes": ("bid", "bid_size", "ask", "ask_size"),
    "bars": ("open", "high", "low", "close", "volume"),
}
_REQUIRED = {"trades": ("price",), "quotes": (), "bars": ("open", "high", "low", "close")}
_OPTIONAL_VALUES = frozenset({"bid", "bid_size", "ask", "ask_size"})
_TEXTS = {
    "trades": ("instrument", "venue", "conditions", "suspicious"),
    "quotes": ("instrument", "venue", "conditions", "suspicious"),
    "bars": ("instrument",),
}
# Names are compared in lower case without spaces, dots, dashes and underscores.
_NAMES: dict[str, tuple[str, ...]] = {
    "ts": (
        "ts",
        "timestamp",
        "datetime",
        "dateandtime",
        "timens",
        "tradetime",
        "quotetime",
        "时间戳",
        "日期时间",
    ),
    "date": ("date", "day", "tradedate", "tradingday", "日期", "交易日期"),
    "time": ("time", "timeofday", "时间", "交易时间"),
    "price": ("price", "px", "last", "lastprice", "tradeprice", "成交价", "价格", "最新价"),
    "size": ("size", "qty", "quantity", "volume", "vol", "lastsize", "amount", "成交量", "数量"),
    "bid": ("bid", "bidprice", "bidpx", "bestbid", "bid1", "买一价"),
    "bid_size": ("bidsize", "bidqty", "bidvolume", "bidvol", "bidsz", "买一量"),
    "ask": ("ask", "askprice", "askpx", "bestask", "offer", "ask1", "卖一价"),
    "ask_size": ("asksize", "askqty", "askvolume", "askvol", "asksz", "offersize", "卖一量"),
    "open": ("open", "o", "openprice", "开盘", "开盘价"),
    "high": ("high", "h", "highprice", "最高", "最高价"),
    "low": ("low", "l", "lowprice", "最低", "最低价"),
    "close": ("close", "c", "closeprice", "收盘", "收盘价"),
    "volume": ("volume", "vol", "v", "成交量"),
    "instrument": ("instrument", "symbol", "ticker", "code", "代码", "股票代码"),
    "venue": ("venue", "exchange", "exch", "mkt"),
    "conditions": ("conditions", "condition", "cond", "salecondition"),
    "suspicious": ("suspicious",),
}


class Layout(msgspec.Struct, frozen=True):
    """The places of fields in a file: `numbers` and `texts` by field, `times` one or two columns."""

    kind: str
    numbers: dict[str, int]
    texts: dict[str, int]
    times: tuple[int, ...]
    columns: dict[str, str]

    def wanted(self, time_format: str | None, decimal: str) -> Wanted:
        """Return what to read of the file."""
        optional = frozenset(_OPTIONAL_VALUES & self.numbers.keys())
        return Wanted(self.numbers, self.texts, self.times, optional, time_format, decimal)

    @property
    def required(self) -> dict[str, int]:
        """The numbers without which no row is one, by field."""
        return {field: place for field, place in self.numbers.items() if field in _REQUIRED[self.kind]}

    def describe(self) -> str:
        """Return the mapping in words: `ts=Date, open=Open`."""
        return ", ".join(f"{field}={column or '(first column)'}" for field, column in self.columns.items())


def lay_out(file: str, header: Sequence[str], kind: str | None, mapping: Mapping[str, str]) -> Layout:
    """Find the columns; raises `UsageError` naming what is missing and what there is."""
    _check_mapping(file, header, mapping)
    found = {field: header.index(column) for field, column in mapping.items()}
    kind = kind or _kind(file, header, found)
    numbers = _places(_NUMBERS[kind], header, found)
    texts = _places(_TEXTS[kind], header, found)
    times = _times(file, header, found)
    missing = [field for field in _REQUIRED[kind] if field not in numbers]
    if kind == "quotes" and not {"bid", "ask"} & numbers.keys():
        missing = ["bid", "ask"]
    if missing:
        raise UsageError(
            f"{file}: no column for {', '.join(missing)} of {kind}; its columns are {_shown(header)}; "
            f"name them: --map {','.join(f'{field}=COLUMN' for field in missing)}"
        )
    columns = {"ts": " + ".join(header[place] for place in times)}
    columns |= {field: header[place] for field, place in (numbers | texts).items()}
    for column in (header[place] for place in (*times, *numbers.values(), *texts.values())):
        if list(header).count(column) > 1:
            raise UsageError(f"{file}: two columns are named {column!r}: which is meant? Rename one of them")
    return Layout(kind, numbers, texts, times, columns)


def _check_mapping(file: str, header: Sequence[str], mapping: Mapping[str, str]) -> None:
    problems = []
    for field, column in mapping.items():
        if field not in _NAMES:
            near = difflib.get_close_matches(field, _NAMES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(_NAMES)}"
            problems.append(f"--map {field}={column}: unknown field {field!r}; {hint}")
        elif column not in header:
            problems.append(f"--map {field}={column}: no column {column!r}; {file} has {_shown(header)}")
    if problems:
        raise UsageError("\n".join(problems))


def _kind(file: str, header: Sequence[str], found: Mapping[str, int]) -> str:
    for kind in ("bars", "quotes", "trades"):
        places = _places(_NUMBERS[kind], header, found)
        if places and all(field in places for field in (_REQUIRED[kind] or ("bid", "ask"))):
            return kind
    raise UsageError(
        f"{file}: neither trades, quotes nor bars can be seen in its columns {_shown(header)}; "
        f"say which with --kind trades|quotes|bars and --map FIELD=COLUMN,…"
    )


def _places(fields: Sequence[str], header: Sequence[str], found: Mapping[str, int]) -> dict[str, int]:
    plain = [_plain(column) for column in header]
    places: dict[str, int] = {}
    for field in fields:
        taken = set(places.values()) | {place for other, place in found.items() if other != field}
        named = [plain.index(name) for name in _NAMES[field] if name in plain]
        free = [place for place in ([found[field]] if field in found else named) if place not in taken]
        if free:
            places[field] = free[0]
    return places


def _times(file: str, header: Sequence[str], found: Mapping[str, int]) -> tuple[int, ...]:
    if "ts" in found:
        return (found["ts"],)
    plain = [_plain(column) for column in header]
    places = {field: _places((field,), header, found).get(field) for field in ("ts", "date", "time")}
    if places["ts"] is not None:
        return (places["ts"],)
    pair = tuple(place for place in (places["date"], places["time"]) if place is not None)
    if pair:
        return pair
    if plain and plain[0] in {"", "unnamed:0", "index"}:  # a data frame's index, written without a name
        return (0,)
    if "indexlevel0" in plain:  # the same in Parquet
        return (plain.index("indexlevel0"),)
    raise UsageError(
        f"{file}: no column for the time; its columns are {_shown(header)}; name it: --map ts=COLUMN"
    )


def _plain(column: str) -> str:
    return "".join(letter for letter in column.strip().lower() if letter not in " _.-")


def _shown(header: Sequence[str]) -> str:
    return ", ".join(repr(column) for column in header[:20]) + (", …" if len(header) > 20 else "")
