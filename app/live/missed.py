"""Market data that a session missed, in words: for the view, for `status`."""

from app.values import when


def missed(instrument: str, state: str, begin: int, end: int, rows: int, reason: str) -> str:
    """Return for example `ZVXA missed 13:31:20Z to 13:38:30Z: filled with 8 bars`."""
    span = f"{instrument} missed {when(begin)[11:]} to {when(end)[11:]}"
    if state == "found":
        return f"{span}: {reason}"
    return f"{span}: filled with {rows} bars" if state == "filled" else f"{span}: NOT FILLED: {reason}"
