"""Replaying recorded days: what is read, what runs on it, and whether it comes out as before."""
