"""Tables of trades, quotes or bars: CSV and Parquet files of any form, with a mapping of their columns."""
