"""Interactive Brokers: nothing here yet; live trading is the next milestone."""
