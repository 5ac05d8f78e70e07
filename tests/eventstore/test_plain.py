"""`views.sql` works in plain DuckDB, from the log's directory, and shows the sealed part."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eventstore.files import Files
from eventstore.layout import Layout
from eventstore.sql.connection import connect
from eventstore.sql.plain import refresh_views_sql, write_views_sql
from eventstore.sql.views import names
from tests.eventstore.sealed_logs import left_building, open_log, write_everything, write_ticks

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
    assert "-- A row is a trade print.\nCREATE OR REPLACE VIEW trades AS" in path.read_text()
    before = path.stat().st_mtime_ns
    assert write_views_sql(root).stat().st_mtime_ns == before
    assert left_building(root) == []


AT_ONCE = """
import sys
from pathlib import Path
from eventstore.build_area import wipe
from eventstore.files import Files
from eventstore.layout import Layout
from eventstore.sql.plain import refresh_views_sql, write_views_sql

root = Path(sys.argv[1])
sys.stdin.readline()
for n in range(12):
    write_views_sql(root)
    wipe(Layout(root), Files())
    (root / "schema" / "trade.parquet").unlink(missing_ok=True)
    (root / "views.sql").unlink(missing_ok=True)
write_views_sql(root)
"""


def test_several_processes_write_it_at_once(tmp_path):
    """Each of them also takes the files away and wipes the build area, as the holder of the lock may."""
    root = tmp_path / "log"
    open_log(root, sealing=False).close()
    expected = write_views_sql(root).read_bytes()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, str(root)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [(child.communicate()[1], child.returncode) for child in children] == [("", 0)] * 4
    assert write_views_sql(root).read_bytes() == expected
    assert list(root.glob(".*")) == []
    assert _counts_in_plain_duckdb(root, ["trades"]) == {"trades": 0}


def test_who_began_before_the_first_run_was_published_does_not_hide_it(tmp_path):
    root = tmp_path / "log"
    open_log(root, sealing=False).close()

    class Slow(Files):
        def rename(self, source, target):
            if target == Layout(root).views_sql:
                run = root / "runs" / "0123456789ab"
                run.mkdir(exist_ok=True)
                shutil.copyfile(root / "schema" / "filled.parquet", run / "filled.parquet")
            super().rename(source, target)

    assert b"runs/" in write_views_sql(root, Slow()).read_bytes()


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    root = tmp_path / "log"
    open_log(root, sealing=False).close()
    for name in (".views.sql.7.0a1b2c3d", ".trade.parquet.7.0a1b2c3d"):
        (root / name).write_bytes(b"half")
    write_views_sql(root)
    assert _counts_in_plain_duckdb(root, ["trades"]) == {"trades": 0}
    open_log(root, sealing=False).close()


@pytest.mark.parametrize("name", ["views.sql", "schema"])
def test_where_it_cannot_be_written_nothing_fails_and_nothing_is_left(tmp_path, name):
    root = tmp_path / "log"
    open_log(root, sealing=False).close()
    if name == "views.sql":
        (root / name).mkdir()
    else:
        (root / name).rmdir()
        (root / name).write_text("in the way")
    with pytest.raises(OSError, match=name):
        write_views_sql(root)
    refresh_views_sql(root)
    assert list(root.glob(".*")) == []
