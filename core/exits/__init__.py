"""Automatic exits: how far from an entry they lie, and the orders that keep them at the broker."""
