"""Looking at a log: its state at any moment, why an order exists, rows for tables and files."""
