"""What leaves the pipeline: what its gates let through, and the word about it."""
