"""Events as typed columns: one Arrow schema per event type, conversion both ways, and Parquet files of them.

Knows neither a log nor a run: who has a file says where it is and what it must hold.
"""
