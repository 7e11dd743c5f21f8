"""Fetches the data of a `.dvc` file, and holds them against the hashes in it."""
