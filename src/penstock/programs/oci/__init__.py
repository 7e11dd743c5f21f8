"""Pushes models and images to OCI registries, reads back what they serve, and pulls it."""
