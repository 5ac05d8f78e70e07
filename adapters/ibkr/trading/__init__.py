"""Orders at the broker: names for what leaves, what the broker says of them, the books compared."""
