"""Event sources over logs, the simulated broker, and importers of market-data files."""
