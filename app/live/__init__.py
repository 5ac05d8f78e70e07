"""Live trading, composed: the log, the broker's connection, strategies and the people who watch."""
