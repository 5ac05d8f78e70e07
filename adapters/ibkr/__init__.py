"""Interactive Brokers: the simulated gateway; live trading is the next milestone."""
