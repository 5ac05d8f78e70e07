"""The wire: bytes to messages and back, contracts and orders in the broker's terms. Knows no session."""
