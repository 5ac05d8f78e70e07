"""Everything that connects the core to a source of data or to a broker."""
