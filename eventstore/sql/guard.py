"""What SQL may be asked of a log: one statement that only reads.

The type of a statement is not enough: DuckDB lets a common table expression insert, delete or copy to a
file, and table functions can run SQL from a string. So the statement's own syntax tree is walked, and
everything that is not known to read is refused. Files outside the log are DuckDB's part to refuse.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from core.errors import UsageError

_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "glob",
        "histogram",
        "json_each",
        "json_tree",
        "parquet_file_metadata",
        "parquet_metadata",
        "parquet_scan",
        "parquet_schema",
        "pragma_table_info",
        "range",
        "read_blob",
        "read_csv",
        "read_csv_auto",
        "read_json",
        "read_json_auto",
        "read_ndjson",
        "read_parquet",
        "read_text",
        "repeat",
        "sniff_csv",
        "unnest",
    }
)
_CATALOGUE_NAMES = ("duckdb_", "pragma_", "sqlite_", "pg_", "information_schema")
_PIVOT = re.compile(r"\bpivot\b", re.IGNORECASE)
_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)
_REFUSED = (
    "the log is read-only through SQL: one SELECT (or DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) at a time; "
    "to write files, use `tape export`"
)
_PIVOT_REFUSED = (
    "PIVOT needs its values named here, such as PIVOT fills ON side IN ('BUY', 'SELL') USING sum(quantity): "
    "to find them itself, it would write a type"
)


def check_reads_only(connection: duckdb.DuckDBPyConnection, text: str) -> frozenset[str] | None:
    """Return the tables that `text` names (`trades`, `raw.trade`), `None` if it may mean any of them.

    Raises `UsageError` unless it is one statement that can only read. A syntax error is let through:
    DuckDB words it best.
    """
    explained = _EXPLAIN.match(text)
    tree = _tree(connection, text[explained.end() :] if explained else text)
    if tree.get("error"):
        if tree.get("error_type") == "parser":
            return frozenset()
        raise UsageError(_PIVOT_REFUSED if _PIVOT.search(text) else _REFUSED)
    if not tree["statements"]:
        raise UsageError("no statement was given; try SELECT * FROM runs, or SHOW TABLES")
    if len(tree["statements"]) > 1:
        raise UsageError(f"{len(tree['statements'])} statements were given: {_REFUSED}")
    named: set[str] = set()
    whole_catalogue = False
    for node in _nodes(tree["statements"][0]):
        _check_node(node)
        if node.get("type") == "BASE_TABLE":
            named.add(_table_name(node))
        whole_catalogue |= _asks_for_names(node)
    return None if whole_catalogue else frozenset(named)


def _tree(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any]:
    # fetchall: a result that is not fetched to its end keeps the connection busy.
    rows = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    tree: dict[str, Any] = json.loads(rows[0][0])
    return tree


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            yield one
            pending += one.values()
        elif isinstance(one, list):
            pending += one


def _table_name(node: dict[str, Any]) -> str:
    schema, table = str(node.get("schema_name", "")).lower(), str(node.get("table_name", "")).lower()
    return f"{schema}.{table}" if schema not in {"", "main"} else table


def _asks_for_names(node: dict[str, Any]) -> bool:
    """Return whether a node shows the catalogue itself: SHOW, DESCRIBE, `duckdb_views()` and the like."""
    if node.get("type") == "BASE_TABLE":
        return _table_name(node).startswith(_CATALOGUE_NAMES)
    function = node.get("function")
    name = function.get("function_name", "") if isinstance(function, dict) else ""
    return node.get("type") == "SHOW_REF" or str(name).lower().startswith(_CATALOGUE_NAMES)


def _check_node(node: dict[str, Any]) -> None:
    kind = str(node.get("type", ""))
    if kind.endswith("_NODE") and kind not in _READING_NODES:
        raise UsageError(f"{kind.removesuffix('_QUERY_NODE')} is refused: {_REFUSED}")
    if kind == "TABLE_FUNCTION":
        function = node.get("function")
        name = str(function.get("function_name", "")).lower() if isinstance(function, dict) else ""
        if name not in _TABLE_FUNCTIONS:
            raise UsageError(f"the table function {name}() is not available here: {_REFUSED}")
