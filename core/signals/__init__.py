"""Signals: their rules, their decay, their composite; pure functions of events and parameters."""
