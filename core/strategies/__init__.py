"""Bundled strategies: small, complete examples of the API."""
