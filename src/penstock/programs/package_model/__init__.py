"""Makes an MLflow model directory of a model, for the registry and the serving image."""
