"""Making what is sealed: a closed segment becomes a directory, neighbouring directories become one.

Done by a process of its own; the journal's holder talks to its client. What is published is never changed.
"""
