"""Bars from Yahoo Finance by the package `yfinance` (extra `yahoo`), imported only when it is asked for.

Used is `Ticker(symbol).history(start=, end=, interval=, auto_adjust=, actions=, prepost=)`: a frame with
a time index that has a zone and the columns Open, High, Low, Close and Volume. `end` is exclusive.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from core.data_source import BarRow, DataSource
from core.errors import UsageError

_INTERVALS = {"1min": "1m", "5min": "5m", "15min": "15m", "30min": "30m", "1hour": "1h", "1day": "1d"}
_COLUMNS = ("Open", "High", "Low", "Close", "Volume")


class Yahoo(DataSource):
    """Bars from Yahoo Finance; its prices are adjusted for splits."""

    def bars(self, symbol: str, bar: str, first: date, last: date) -> Iterator[BarRow]:
        """Yield bars; raises `UsageError` without the package or for a size that Yahoo does not have."""
        if bar not in _INTERVALS:
            raise UsageError(f"--bar {bar}: yfinance has {', '.join(_INTERVALS)}")
        try:
            import yfinance  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise UsageError("yfinance is not installed; next: pip install 'truetape[yahoo]'") from error
        frame = yfinance.Ticker(symbol).history(
            start=first.isoformat(),
            end=(last + timedelta(days=1)).isoformat(),
            interval=_INTERVALS[bar],
            auto_adjust=False,
            actions=False,
            prepost=False,
        )
        for at, *prices in frame[list(_COLUMNS)].itertuples(name=None):
            opened, high, low, close, volume = map(float, prices)
            yield at.date() if bar == "1day" else at.to_pydatetime(), opened, high, low, close, volume
