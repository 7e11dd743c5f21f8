"""Models in an MLflow registry: recorded, versioned, named by aliases, and taken back out verified."""
