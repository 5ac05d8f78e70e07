"""Runs: what a replay decided, written aside and published whole, read, hashed and checked against itself.

Owns `runs/`, outside the log's lock. It knows nothing of the journal.
"""
