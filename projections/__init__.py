"""Folds over events: each holds one view of the world and can be rebuilt from the log alone."""
