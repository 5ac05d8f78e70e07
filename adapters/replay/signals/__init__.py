"""Readers of files that hold signals: recommendations and forecasts from workbooks, CSV, Parquet and npz."""
