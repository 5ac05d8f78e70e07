"""Whether a strategy decides from the past alone: replays of prefixes, in processes that hold no more.

`copying` writes a log that ends at a cut, `mirroring` what might have come instead, `child` replays in a
process of its own and tells what else it read, `points` chooses the cuts, `checking` compares.
"""
