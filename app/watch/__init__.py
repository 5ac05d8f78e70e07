"""Who watches a live session: listeners, alerts, metrics, health, structured logs. None of it decides."""
