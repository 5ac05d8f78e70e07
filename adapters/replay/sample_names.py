"""What the built-in sample is called: cheap to import for those who only ask whether a log is of it."""

FEED = "sample/tick"

DAYS = ("2025-07-02", "2025-07-03")
"""Its session dates: a full day, and a half-day that closes at 13:00 in New York."""

INSTRUMENT = "ZVXA"
"""The share that examples trade."""
