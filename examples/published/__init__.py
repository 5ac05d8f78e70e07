"""Strategies whose results others published, each as it would be written for this system."""
