"""The simulated IB Gateway, composed: a recorded day served to any client, by the matching of replays."""
