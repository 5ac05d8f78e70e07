"""Holding and operating a log: writing, sealing, the operator's requests, margin previews."""
