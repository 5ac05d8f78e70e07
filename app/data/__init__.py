"""Bringing market data and definitions into a log: imports, the broker's history, other sources."""
