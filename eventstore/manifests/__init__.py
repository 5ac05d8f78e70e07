"""What is sealed, by its own word: `seal.json`, the catalogue of directories, and where the sealed log ends.

Reads names and manifests only, no table and no archive, and imports no pyarrow: the journal asks it after a
crash.
"""
