"""Composition: wires core, projections, eventstore and adapters into what the commands do."""
