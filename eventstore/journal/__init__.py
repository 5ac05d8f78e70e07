"""The journal: one writer, its segments of checked blocks, and what their bytes mean after a crash.

Owns `hot/` and the high-water mark. Of what is sealed it knows the manifests; it imports neither pyarrow nor
duckdb.
"""
