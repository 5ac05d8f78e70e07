"""Two runs side by side: differences of figures, what is not shared, and where decisions part."""

import json
from decimal import Decimal

import pytest

import cli
from app.replay.comparing import compare
from app.report.building import opened
from app.report.comparison import side_by_side
from app.report.comparison_page import growth, render
from app.report.facts import Series
from app.report.page import BYTES_MAX
from eventstore.runs.reader import RunReader
from tests.reports.test_reports import parsed


@pytest.fixture
def both(logs):
    with (
        opened(logs["root"], RunReader(logs["crosses"])) as one,
        opened(logs["root"], RunReader(logs["none"])) as other,
    ):
        yield one, other


def test_differences_are_second_less_first_and_unknown_where_one_is(both):
    one, other = both
    told = side_by_side(one, other)
    found = {figure.key: figure for figure in told.figures}
    assert found["fills"].change == other.report.figures["fills"] - one.report.figures["fills"] < 0
    ends = [Decimal(m.report.figures["end_equity"]) for m in both]
    assert found["end_equity"].change == ends[1] - ends[0] != 0
    assert found["sharpe"].change is None
    assert found["period"].change is None
    assert {item.what for item in told.differing} >= {"period", "market data", "risk_profile"}
    assert "sma_cross fast" not in {item.what for item in told.differing}


def test_a_run_beside_itself_differs_in_nothing(logs):
    with (
        opened(logs["root"], RunReader(logs["crosses"])) as one,
        opened(logs["root"], RunReader(logs["crosses"])) as other,
    ):
        told = side_by_side(one, other)
    assert told.differing == []
    assert told.decisions.difference is None
    assert [f.change for f in told.figures if f.change] == []


def test_equal_hashes_count_the_same_decisions_as_reading_them(logs, monkeypatch):
    run = RunReader(logs["crosses"])
    quick = compare(run, run)
    monkeypatch.setitem(run.summary, "hash_version", "another")
    other = RunReader(logs["crosses"])
    assert compare(run, other) == quick
    assert quick.decisions == (285, 285)


def test_the_page_names_the_first_difference_and_has_both_curves(both):
    text = render(side_by_side(*both), *both)
    page = parsed(text)
    assert len(text.encode()) < BYTES_MAX
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "a"})
    lines = [attrs["class"] for tag, attrs in page.tags if tag == "path"]
    assert "line main" in lines
    assert "line other" in lines
    said = "".join(page.text)
    assert "decisions, and they part." in said
    assert both[0].report.run in said
    assert both[1].report.run in said


def test_growth_begins_at_zero_and_is_nothing_without_capital():
    import numpy as np  # noqa: PLC0415

    times = np.array([1, 2])
    assert growth(Series(times, np.array([50.0, 55.0]))).values.tolist() == pytest.approx([0, 0.1])
    assert len(growth(Series(times, np.array([0.0, 55.0]))).values) == 0
    assert len(growth(Series(times[:0], np.array([]))).values) == 0


def test_the_command_prints_one_document_and_writes_the_page(logs, tmp_path, capsys):
    root, path = str(logs["root"]), tmp_path / "both.html"
    runs = [logs["crosses"].name, logs["none"].name]
    assert cli.main(["--log", root, "compare", *runs, "--html", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["first"], told["second"]) == tuple(runs)
    assert told["decisions"]["difference"]["number"] >= 1
    assert f"wrote {path}" in captured.err
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert cli.main(["--log", root, "compare", *runs]) == 0
    shown = capsys.readouterr().out
    assert "the runs part (" in shown
    assert "risk_profile" in shown
    assert cli.main(["--log", root, "compare", "nonesuch", "latest"]) == 7
