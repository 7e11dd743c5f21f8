"""Verdicts on what a plan produced."""
