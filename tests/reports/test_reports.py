"""Reports of real runs: figures against pandas over the run's own files, and what is written to disk."""

import csv
import io
import os
import re
import sys
from datetime import date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import openpyxl
import pandas as pd
import pytest

import cli
from app.report.building import opened
from app.report.dealing import exit_reason
from app.report.page import BYTES_MAX, render
from app.report.workbook import _sheet
from app.report.writing import write
from eventstore.runs.reader import RunReader

VOID = {"meta", "path", "br"}


class Strict(HTMLParser):
    """Fails on tags that are not closed in order; keeps tags with their attributes, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(text):
    page = Strict()
    page.feed(text)
    assert page.open == []
    return page


@pytest.fixture
def material(logs, request):
    with opened(logs["root"], RunReader(logs[request.param])) as found:
        yield found


every = pytest.mark.parametrize("material", ["crosses", "nasty", "none", "ruin", "failed"], indirect=True)
crosses = pytest.mark.parametrize("material", ["crosses"], indirect=True)
nasty = pytest.mark.parametrize("material", ["nasty"], indirect=True)
ruin = pytest.mark.parametrize("material", ["ruin"], indirect=True)
failed = pytest.mark.parametrize("material", ["failed"], indirect=True)
none = pytest.mark.parametrize("material", ["none"], indirect=True)


def parquet(logs, name, tag):
    return pd.read_parquet(logs[name] / f"{tag}.parquet")


@crosses
def test_the_figures_are_those_of_pandas_over_the_runs_own_files(logs, material):
    told = material.report.figures
    fills, paid = parquet(logs, "crosses", "filled"), parquet(logs, "crosses", "commission")
    intents, marks = parquet(logs, "crosses", "order_intended"), parquet(logs, "crosses", "account_marked")
    assert told["fills"] == len(fills)
    assert told["intents"] == told["acknowledged"] == told["filled_orders"] == len(intents)
    value = (fills.quantity * fills.price).sum()
    assert (told["traded_value"], Decimal(told["commissions"])) == (value, paid.amount.sum())
    equity = marks.equity.astype(float)
    assert float(told["max_drawdown"]) == pytest.approx((1 - equity / equity.cummax()).max(), abs=1e-8)
    days = pd.to_datetime(marks.ts).dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.date
    ends = equity.groupby(days).last()
    assert [day.equity for day in material.report.daily] == ends.tolist()
    returns = pd.Series([100_000.0, *ends]).pct_change().dropna()
    assert told["volatility"] == pytest.approx(returns.std() * 252**0.5)
    assert told["sharpe"] == pytest.approx(returns.mean() / returns.std() * 252**0.5)
    traded = (fills.quantity * fills.price).astype(float)
    by_day = traded.groupby(
        pd.to_datetime(fills.ts).dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.date
    ).sum()
    assert told["turnover"] == pytest.approx((by_day / ends).mean())


@crosses
def test_arrival_prices_are_those_of_the_book_at_each_intent(logs, material):
    """Against a plain loop over the log's own quotes and trades, venue by venue."""
    files = sorted((logs["root"] / "sealed").glob("*/quote.parquet"))
    quotes = pd.concat([pd.read_parquet(file) for file in files])
    quotes = quotes[(quotes.instrument == "ZVXA") & ~quotes.suspicious].sort_values("seq")
    rows = list(quotes[["seq", "venue", "bid", "bid_size", "ask", "ask_size"]].itertuples(index=False))
    intents = parquet(logs, "crosses", "order_intended").sort_values("at")
    bids, asks, place, checked = {}, {}, 0, 0
    for intent in intents.itertuples():
        while place < len(rows) and rows[place].seq <= intent.at:
            row = rows[place]
            place += 1
            for book, price, size in ((bids, row.bid, row.bid_size), (asks, row.ask, row.ask_size)):
                if price == 0 or size == 0:
                    book.pop(row.venue, None)
                elif price == price:
                    book[row.venue] = price
        if bids and asks:
            middle = (max(bids.values()) + min(asks.values())) / 2
            assert material.arrivals[intent.order] == pytest.approx(middle)
            checked += 1
    assert checked > 90


@crosses
def test_slippage_is_what_fills_were_worse_than_arrival(material):
    cost = Decimal(0)
    for fill in material.fills():
        if fill.arrival is not None:
            worse = fill.price - Decimal(repr(fill.arrival))
            cost += (worse if fill.side == "BUY" else -worse) * fill.quantity
    assert abs(material.report.figures["slippage"] - cost) < Decimal("1e-6")
    assert cost > 0, "market orders cross the spread"


@every
def test_the_groups_sum_to_the_net_profit(material):
    told = material.report
    profit = told.figures["net_profit"]
    assert sum(group.net_profit for group in told.by_instrument) == profit
    assert sum(group.net_profit for group in told.by_strategy) == profit
    closed = sum(trade.profit for trade in material.trips)
    assert sum(group.net_profit for group in told.by_exit_reason) == closed
    assert sum(day.profit for day in told.daily) == pytest.approx(float(profit))


@none
def test_a_run_without_a_fill_has_dashes_and_the_rule_that_refused(material):
    told = material.report
    assert told.refused_by_rule["max_position_size"] > 20
    assert sum(told.refused_by_rule.values()) == told.figures["refused"] == told.figures["intents"]
    assert told.figures["trades"] == 0
    absent = ("sharpe", "sortino", "calmar", "win_rate", "profit_factor", "expectancy", "slippage")
    assert [told.figures[key] for key in absent] == [None] * len(absent)
    assert told.figures["time_in_market"] == 0
    count = told.figures["intents"]
    why = f"of {count} orders none filled ({count} refused, 0 rejected, 0 cancelled)"
    assert told.cautions[0] == f"Nothing was traded: {why}."


@ruin
def test_an_account_below_zero_has_no_ratios_and_a_note_that_says_so(material):
    told = material.report
    assert Decimal(told.figures["end_equity"]) < 0
    absent = ("annual_return", "volatility", "sharpe", "sortino", "calmar", "turnover")
    assert [told.figures[key] for key in absent] == [None] * len(absent)
    assert any("Equity was not positive" in text for text in told.cautions)
    (held,) = told.positions
    assert held.open_profit == told.figures["net_profit"] + Decimal(told.figures["commissions"])


@failed
def test_the_report_of_a_failed_run_ends_where_it_failed_and_says_so_first(material):
    told = material.report
    assert "AssertionError" in told.failed
    assert told.cautions[0] == "The strategy failed: the figures end there."
    assert told.figures["fills"] == 1
    assert "AssertionError" in render(material)


@pytest.mark.parametrize(
    ("reason", "group"),
    [
        ("down from 84.1", "down from …"),
        ("fast below slow (83.9 vs 84.0)", "fast below slow"),
        ("stop (hard)", "stop (hard)"),
        ("", "no reason given"),
        ("-1.5e-3% (x 1)", "…"),
    ],
)
def test_exit_reasons_are_grouped_without_their_numbers(reason, group):
    assert exit_reason(reason) == group


@every
def test_the_page_is_whole_small_and_asks_for_nothing(material):
    text = render(material)
    assert len(text.encode()) < BYTES_MAX
    page = parsed(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "a"})
    assert not re.search(r"url\(|@import|https?://(?!x)", text)
    assert not re.search(r"\b(nan|inf|None)\b", "".join(page.text))
    assert text.index(">Assumptions<") > text.index(">Figures<")
    svgs = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in svgs)
    assert text == render(material), "the same run, the same page"


@nasty
def test_nothing_that_a_strategy_says_becomes_markup(material):
    page = parsed(render(material))
    said = "".join(page.text)
    assert "<script>alert(1)</script>" in said
    assert "price <b>&" in said, "the recorded series has a chart"


@nasty
def test_the_workbook_has_real_numbers_and_dates_and_no_formula(material, tmp_path):
    path = tmp_path / "run.xlsx"
    assert list(write(material, html=None, csv=None, excel=path)) == [path]
    book = openpyxl.load_workbook(path)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells}.isdisjoint({"f", "e"})
    rows = list(book["Fills"].iter_rows(min_row=2, values_only=True))
    fills = list(material.fills())
    assert len(rows) == len(fills) == material.report.figures["fills"]
    assert isinstance(rows[0][0], datetime)
    assert [row[6:8] for row in rows] == [(float(f.quantity), float(f.price)) for f in fills]
    assert rows[0][12].startswith("=HYPERLINK(")
    (day,) = book["Daily"].iter_rows(min_row=2, values_only=True)
    assert (day[0].date(), day[1]) == (date(2025, 7, 3), float(material.report.figures["end_equity"]))
    assert book["Orders"].max_row - 1 == material.report.figures["intents"]


def test_text_stays_text_in_a_sheet_whatever_it_looks_like():
    texts = ["=1+1", "#N/A", "#1 of 2", "12", "2025-07-02", "+1", "bell \a", "x" * 40_000]
    book = openpyxl.Workbook(write_only=True)
    _sheet(book, "Texts", ["head"], [texts, [None, Decimal("1.5"), Decimal(10) ** 20, 7, True]])
    file = io.BytesIO()
    book.save(file)
    _, row, numbers = openpyxl.load_workbook(io.BytesIO(file.getvalue())).active.iter_rows()
    assert {cell.data_type for cell in row} == {"s"}
    assert [cell.value for cell in row] == [*texts[:6], "bell \ufffd", "x" * 32_767]
    assert [cell.value for cell in numbers[:5]] == [None, 1.5, 1e20, 7, True]


@crosses
def test_the_csv_files_hold_every_row_exactly(material, tmp_path):
    assert list(write(material, html=None, csv=tmp_path / "out", excel=None)) == [tmp_path / "out"]

    def rows(name):
        with (tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    told = material.report.figures
    assert len(rows("fills")) == told["fills"]
    assert len(rows("trades")) == told["trades"]
    assert sum(Decimal(row["profit"]) for row in rows("trades")) == sum(t.profit for t in material.trips)
    assert len(rows("equity")) == len(material.equity.times)
    assert max(float(row["drawdown"]) for row in rows("equity")) == pytest.approx(
        float(told["max_drawdown"]), abs=1e-8
    )
    assert {row["figure"]: row["value"] for row in rows("figures")}["end_equity"] == told["end_equity"]
    assert rows("refused") == []
    assert not list((tmp_path / "out").glob(".*"))


@nasty
def test_recorded_series_are_written_in_full(logs, material, tmp_path):
    list(write(material, html=None, csv=tmp_path, excel=None))
    told = pd.read_csv(tmp_path / "recorded.csv")
    recorded = parquet(logs, "nasty", "recorded").sort_values("seq")
    assert told["value"].tolist() == recorded["value"].tolist()
    assert set(told["name"]) == {"price <b>&"}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--excel", "x.xls"], "expected a name that ends in .xlsx"),
        (["--html", "."], "is a directory"),
        (["--html", "nowhere/x.html"], "there is no directory"),
        (["--csv", "file"], "expected a directory"),
        (["--csv", "file/below"], "cannot be written"),
    ],
)
def test_places_that_cannot_be_written_are_refused_in_words(logs, tmp_path, monkeypatch, capsys, args, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    assert cli.main(["--log", str(logs["root"]), "report", *args]) == 2
    assert says in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


def test_a_run_whose_files_were_changed_is_not_reported_on(logs, tmp_path, capsys):
    import shutil  # noqa: PLC0415

    root = shutil.copytree(logs["root"], tmp_path / "log")
    path = root / "runs" / logs["crosses"].name / "filled.parquet"
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    assert cli.main(["--log", str(root), "report", logs["crosses"].name]) == 6
    assert "filled.parquet" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["report", "compare"])
def test_a_page_is_written_also_if_the_reader_of_the_answer_goes_away(
    logs, tmp_path, verb, capsys, monkeypatch
):
    read, write = os.pipe()
    os.close(read)
    page = tmp_path / "page.html"
    names = [logs["crosses"].name] if verb == "report" else [logs["crosses"].name, logs["nasty"].name]
    with capsys.disabled(), open(write, "w", 1, "utf-8") as gone:  # noqa: PTH123  # no path: a pipe
        monkeypatch.setattr(sys, "stdout", gone)
        assert cli.main(["--log", str(logs["root"]), "-q", verb, *names, "--html", str(page)]) == 0
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")


def test_the_stops_of_a_run_are_measured_against_their_last_triggers(morning, tape, tmp_path):
    config = tmp_path / "exits.toml"
    config.write_text("[risk_management]\nstop_loss_pct = 0.0008\ntake_profit_pct = 0.0008\n")
    asked = ["--strategy", "sma_cross", "--set", "instrument=ZVXA", "--set", "quantity=50"]
    run = tape("-c", config, "--log", morning, "replay", "2025-07-02", *asked, "--json").json["run"]
    orders = tape("--log", morning, "sql", "--run", run, "SELECT * FROM orders", "--json").json
    triggers = {o["order_id"]: (o["type"], o["stop_price"] or o["limit_price"]) for o in orders}
    with opened(morning, RunReader(morning / "runs" / run)) as material:
        hit = [(fill, *triggers[fill.order]) for fill in material.fills() if fill.order.startswith("exit-")]
    assert {kind for _, kind, _ in hit} == {"STP", "LMT"}
    for fill, _, price in hit:
        assert fill.arrival == float(price)
