"""`views.sql` works in plain DuckDB, from the log's directory, and shows the sealed part."""

import subprocess
import sys

import pytest

from eventstore.layout import Layout
from eventstore.plain import write_views_sql
from eventstore.sql import connect
from eventstore.views import names
from tests.eventstore.sealed_logs import open_log, write_everything, write_ticks

PLAIN = """
import sys, duckdb
con = duckdb.connect()
con.execute(open("views.sql").read())
for name in sys.argv[1:]:
    print(name, con.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0])
assert "eventstore" not in sys.modules
"""


def _counts_in_plain_duckdb(root, views):
    done = subprocess.run(
        [sys.executable, "-P", "-c", PLAIN, *views], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name: int(count) for name, count in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.parametrize("filled", [True, False], ids=["sealed", "empty"])
def test_plain_duckdb_sees_what_our_views_see(tmp_path, filled):
    root = tmp_path / "log"
    journal = open_log(root)
    if filled:
        write_everything(journal)
        write_ticks(journal, 400)
        journal.roll()
        journal.commit(sync=True)
    write_views_sql(root)
    views = [name for name in names() if name not in {"runs", "events"}]
    found = _counts_in_plain_duckdb(root, [*views, "events"])
    with connect(root) as log:
        expected = {name: log.query(f"SELECT count(*) FROM {name}").rows[0][0] for name in views}
    hot = 1 if filled else 0  # the record of the seal itself is not sealed yet
    assert found.pop("events") == journal.last_seq - hot
    assert found == expected
    journal.close()


def test_writing_it_again_changes_nothing(tmp_path):
    root = tmp_path / "log"
    open_log(root, sealing=False).close()
    path = write_views_sql(root)
    before = path.stat().st_mtime_ns
    assert write_views_sql(root).stat().st_mtime_ns == before
    assert list(Layout(root).tmp.iterdir()) == []
