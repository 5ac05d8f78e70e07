"""The link: one connection at a time, its life, and what leaves over it at which pace."""
