"""Interactive Brokers: live connection and simulated gateway. Importing this imports no `ibapi`."""
