"""The durable log: journal, recovery, sealing to Parquet, verification, reading, SQL views and runs."""
