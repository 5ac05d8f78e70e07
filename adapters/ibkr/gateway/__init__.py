"""A simulated IB Gateway: a server that speaks the text protocol to any client."""
