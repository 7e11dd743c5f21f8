"""What `penstock init` does: look at a repository, without running any of it, and draft a pipeline file."""
