"""What replay and live trading are put together from alike: world, risk gate, strategies, loop."""
