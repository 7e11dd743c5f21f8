"""Penstock: one gated pipeline from a commit to a published model."""

__version__ = "0.1.0"

REPOSITORY = "github.com/penstock-ml/penstock"
"""Where CI jobs get Penstock from."""
