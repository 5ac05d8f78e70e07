"""What a sealed directory holds beside its manifest: the archived journal, and the tables made from it.

Each can be read, counted and compared with the other. Nothing here publishes or removes a directory.
"""
