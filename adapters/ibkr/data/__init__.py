"""Data of the broker: live lines and their ticks, contracts looked up, history asked for."""
