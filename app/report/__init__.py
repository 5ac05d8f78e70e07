"""The report of a run: its figures, tables and charts, and their forms (terminal, JSON, CSV, Excel, HTML)."""
