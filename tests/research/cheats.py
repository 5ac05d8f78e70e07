"""Strategies that look ahead, each in its own way, and one that does not."""

import os
import random
import signal
import time
from pathlib import Path

import truetape
from truetape import Parameters, Strategy, Trade


class Given(Parameters, frozen=True):
    instrument: str = "ABC"
    path: str = ""


class _Thresholds(Strategy[Given]):
    """Buys below a level and sells above it."""

    level = 51.0

    def on_trade(self, trade: Trade) -> None:
        held = self.position(trade.instrument)
        if not self.working_orders():
            if trade.price < self.level and held <= 0:
                self.buy(trade.instrument, 10, reason="low")
            elif trade.price > self.level and held > 0:
                self.sell(trade.instrument, 10, reason="high")


class Honest(_Thresholds):
    """The level is the mean of what was seen."""

    def __init__(self, params: Given) -> None:
        super().__init__(params)
        self.total, self.seen = 0.0, 0

    def on_trade(self, trade: Trade) -> None:
        self.total, self.seen = self.total + trade.price, self.seen + 1
        self.level = self.total / self.seen
        super().on_trade(trade)


class WholeFrame(_Thresholds):
    """The level is the mean of the whole period."""

    def on_start(self) -> None:
        with truetape.open_log() as log:
            self.level = log.sql("SELECT avg(price) AS mean FROM trades").rows()[0]["mean"]


class BarAtItsStart(Strategy[Given]):
    """Buys at the first trade of a minute whose bar, labelled at its start, will close higher."""

    def on_start(self) -> None:
        minute = 60_000_000_000
        with truetape.open_log() as log:
            rows = log.sql(
                f"SELECT ts // {minute} AS start, last(price ORDER BY seq) - first(price ORDER BY seq) rise"
                " FROM trades GROUP BY start"
            ).rows()
        self.rise = {row["start"]: row["rise"] for row in rows}
        self.minute = 0

    def on_trade(self, trade: Trade) -> None:
        start = trade.ts // 60_000_000_000
        if start != self.minute and not self.working_orders():
            self.minute = start
            if self.rise[start] > 0:
                self.buy(trade.instrument, 1, reason=f"the bar rises by {self.rise[start]:.2f}")


class Remaining(_Thresholds):
    """Trades only while at least 50 events remain."""

    def on_start(self) -> None:
        with truetape.open_log() as log:
            self.left = log.sql("SELECT count(*) AS n FROM trades").rows()[0]["n"]

    def on_trade(self, trade: Trade) -> None:
        self.left -= 1
        if self.left >= 50:
            super().on_trade(trade)


class Forgiving(Strategy[Given]):
    """Buys unless the price will be lower ten trades on; where there is no such trade, it buys too."""

    def on_start(self) -> None:
        with truetape.open_log() as log:
            self.prices = [row["price"] for row in log.sql("SELECT price FROM trades ORDER BY seq").rows()]
        self.index = -1

    def on_trade(self, trade: Trade) -> None:
        self.index += 1
        ahead = self.prices[self.index + 10 : self.index + 11]
        if self.index % 20 == 0 and not (ahead and ahead[0] < trade.price):
            self.buy(trade.instrument, 1, reason="will rise")


class FromAFile(_Thresholds):
    """The level comes from a file beside the log."""

    def on_start(self) -> None:
        self.level = float(Path(self.params.path).read_text("utf-8"))


class WholeLogByName(_Thresholds):
    """Reads the log by its full name, which no cut shortens; its mean is rounded, so that nothing differs."""

    def on_start(self) -> None:
        with truetape.open_log(self.params.path) as log:
            assert log.sql("SELECT count(*) AS n FROM trades").rows()[0]["n"]


class Dice(Strategy[Given]):
    """Decides by chance."""

    def on_trade(self, trade: Trade) -> None:
        if random.random() < 0.5:
            self.buy(trade.instrument, 1, reason="heads")


class Idle(Strategy[Given]):
    """Decides nothing."""

    def on_trade(self, trade: Trade) -> None:
        pass


class Orphaned(Strategy[Given]):
    """Says who runs it, ends whoever checks it, and never returns."""

    def on_trade(self, trade: Trade) -> None:
        Path(self.params.path).write_text(str(os.getpid()), "utf-8")
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(3600)


class Raises(Strategy[Given]):
    """Raises."""

    def on_trade(self, trade: Trade) -> None:
        raise ValueError("as planted")
