"""Interactive Brokers: the wire so far. Importing this package imports no `ibapi`."""
