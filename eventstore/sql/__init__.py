"""SQL over a log and its runs: statements that only read, the views, and the database behind them.

Also `views.sql`, the same views for plain DuckDB. The only room that imports duckdb.
"""
