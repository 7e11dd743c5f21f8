"""The pipeline file, and the plan that it resolves to."""
