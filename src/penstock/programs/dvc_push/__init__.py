"""Pushes outputs to a DVC remote, and writes the `.dvc` files that a commit needs."""
