"""Which column is what: headings in English and Chinese, and the row that holds them.

Proposes; `--map FIELD=HEADING` overrides. Knows nothing of values.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from adapters.replay.signals.cells import Cells
from core.errors import UsageError

HEADER_LINES = 30
DAYS_MAX = 60
_WORDS = {
    "symbol": "symbol ticker code instrument stock secid 代码 股票代码 证券代码 标的 标的代码 品种 合约 股票",
    "name": "name company 名称 股票名称 证券名称 简称 证券简称",
    "weight": "weight weights allocation bmaweight 权重 推荐权重 配置权重 仓位 占比",
    "score": "score rating signal recommendation action bmascore 评分 得分 分数 综合评分 综合得分 "
    "信号 评级 建议",
    "confidence": "confidence probability prob 置信度 概率 可信度 信心",
    "date": "date asof day tradedate asofdate 日期 交易日期 推荐日期 更新日期 时间 预测日期",
    "expires": "expires expiry validuntil 有效期 有效期至 到期 到期日 失效日期",
    "base": "base close price last lastclose 现价 收盘价 最新价 基准价 价格",
}
FIELDS = {field: tuple(words.split()) for field, words in _WORDS.items()}
"""Fields, and the headings that they are known by, without case, spaces and punctuation."""
_DAY = re.compile(r"(?:d|t|day|pred|forecast|yhat|h|第|预测|未来)[+]?0*([1-9][0-9]?)(?:天|日|d|day)?")


class Columns(msgspec.Struct, frozen=True):
    """The columns of a table, counted from 1; `header` is its line, `days` has a forecast's columns."""

    cells: Cells
    header: int
    fields: dict[str, int]
    days: dict[int, int]

    @property
    def is_forecast(self) -> bool:
        """Whether the rows are forecast prices."""
        return bool(self.days)

    def heading(self, column: int) -> str:
        """Return the heading of a column as it is written."""
        return str(self.cells.rows[self.header - 1][column - 1]).strip()

    def describe(self) -> str:
        """Return the mapping in words."""
        known = [f"{field}={self.heading(column)}" for field, column in self.fields.items()]
        if self.days:
            first, last = min(self.days), max(self.days)
            span = f"{self.heading(self.days[first])}..{self.heading(self.days[last])}"
            known.append(f"d+{first}..d+{last}={span}")
        where = f"sheet {self.cells.sheet!r}, " if self.cells.sheet else ""
        return f"{where}header in line {self.header}: {', '.join(known)}"

    def unused(self) -> list[str]:
        """Return the headings that are not read."""
        read = {*self.fields.values(), *self.days.values()}
        row = self.cells.rows[self.header - 1]
        return [str(value).strip() for n, value in enumerate(row, 1) if value is not None and n not in read]


def propose(tables: Sequence[Cells], mapping: Mapping[str, str]) -> Columns:
    """Return the table and columns to read; raises `UsageError` that lists what was found instead.

    The sheet and line with the most known headings is taken, of equal ones the first.
    """
    unknown = sorted(set(mapping) - set(FIELDS))
    if unknown:
        near = get_close_matches(unknown[0], FIELDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(FIELDS)}"
        raise UsageError(f"--map {unknown[0]}=…: no such field; {hint}")
    found = [
        columns
        for cells in tables
        for line, row in enumerate(cells.rows[:HEADER_LINES], 1)
        if (columns := _columns(cells, line, row, mapping)) is not None
    ]
    if not found:
        raise UsageError(_nothing(tables, mapping))
    return max(found, key=lambda columns: len(columns.fields) + len(columns.days))


def normalised(heading: Any) -> str:
    """Return a heading without case, width, spaces, punctuation and what stands in brackets."""
    text = unicodedata.normalize("NFKC", str(heading)).lower()
    return re.sub(r"[\s_\-/:.%*#]+", "", re.sub(r"[(\[【（].*?[)\]】）]", "", text))


def _columns(cells: Cells, line: int, row: Sequence[Any], mapping: Mapping[str, str]) -> Columns | None:
    fields: dict[str, int] = {}
    days: dict[int, int] = {}
    wanted = {normalised(heading): field for field, heading in mapping.items()}
    for column, value in enumerate(row, 1):
        if not isinstance(value, str | int) or isinstance(value, bool):
            continue
        text = normalised(value)
        field = wanted.get(text) or _field(text)
        if field is not None and (field not in mapping or text in wanted):
            fields.setdefault(field, column)
        elif isinstance(value, str) and (day := _DAY.fullmatch(text)) and int(day[1]) <= DAYS_MAX:
            days.setdefault(int(day[1]), column)
    if "symbol" not in fields or not (days or {"weight", "score"} & set(fields)):
        return None
    if not set(mapping) <= set(fields):
        return None
    return Columns(cells, line, fields, days)


def _field(text: str) -> str | None:
    return next((field for field, names in FIELDS.items() if text in names), None)


def _nothing(tables: Sequence[Cells], mapping: Mapping[str, str]) -> str:
    shown = []
    for cells in tables[:3]:
        row = next(
            (row for row in cells.rows[:HEADER_LINES] if sum(value is not None for value in row) > 1), []
        )
        heads = ", ".join(str(value)[:30] for value in row[:8] if value is not None) or "nothing"
        shown.append(f"{cells.sheet or 'the file'}: {heads}")
    hidden = f", and hidden {tables[0].hidden}" if tables and tables[0].hidden else ""
    asked = "".join(f" {field}={heading}" for field, heading in mapping.items())
    return (
        f"{tables[0].file if tables else 'the file'}: no line with a symbol and a weight, score or d+1 "
        f"column{' as mapped:' + asked if asked else ''} in the first {HEADER_LINES} lines "
        f"(found {'; '.join(shown)}{hidden}); "
        f"name them: --map symbol=HEADING --map weight=HEADING{', or --sheet NAME' if hidden else ''}"
    )
